#include "coordinator/core/line_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fallow {
namespace {

using testing::ElementsAre;

struct Seen {
  std::uint64_t number, offset, length;
  std::string text;
  bool too_long = false;
  bool operator==(const Seen&) const = default;
};
void PrintTo(const Seen& seen, std::ostream* out) {
  *out << seen.number << "@" << seen.offset << "+" << seen.length << ":" << seen.text
       << (seen.too_long ? " (too long)" : "");
}

std::vector<Seen> Split(std::string_view text, std::size_t piece_bytes,
                        std::size_t max_line_bytes = 10) {
  std::vector<Seen> lines;
  LineSplitter splitter(max_line_bytes);
  const auto on_line = [&](const SplitLine& line) {
    lines.push_back({line.number, line.offset, line.length, std::string(line.text), line.too_long});
    return true;
  };
  for (std::size_t at = 0; at < text.size(); at += piece_bytes)
    splitter.Feed(AsBytes(text.substr(at, piece_bytes)), on_line);
  splitter.Finish(on_line);
  return lines;
}

// However the stream is cut, the lines are the same.
class LineSplitterTest : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(PieceBytes, LineSplitterTest, testing::Values(1, 2, 3, 7, 1000));

TEST_P(LineSplitterTest, CutsAtLineFeedsAndDropsCarriageReturns) {
  EXPECT_THAT(Split("ab\ncd\r\n\nx\ry", GetParam()),
              ElementsAre(Seen{1, 0, 2, "ab"}, Seen{2, 3, 2, "cd"}, Seen{3, 7, 0, ""},
                          Seen{4, 8, 3, "x\ry"}));
}

TEST_P(LineSplitterTest, NeedsNoLineFeedAtTheEnd) {
  EXPECT_THAT(Split("ab", GetParam()), ElementsAre(Seen{1, 0, 2, "ab"}));
  EXPECT_THAT(Split("ab\n", GetParam()), ElementsAre(Seen{1, 0, 2, "ab"}));
  EXPECT_THAT(Split("", GetParam()), ElementsAre());
}

TEST_P(LineSplitterTest, SkipsAByteOrderMarkAtTheStartAlone) {
  EXPECT_THAT(Split("\xEF\xBB\xBFxy\n\xEF\xBB\xBFz\n", GetParam()),
              ElementsAre(Seen{1, 3, 2, "xy"}, Seen{2, 6, 4, "\xEF\xBB\xBFz"}));
}

TEST_P(LineSplitterTest, ReportsAnOverlongLineWithoutItsText) {
  const std::string text = "0123456789\r\n" + std::string(5000, 'x') + "\n0123456789a\nok";
  EXPECT_THAT(Split(text, GetParam()),
              ElementsAre(Seen{1, 0, 10, "0123456789"}, Seen{2, 12, 5000, "", true},
                          Seen{3, 5013, 11, "", true}, Seen{4, 5025, 2, "ok"}));
}

TEST(LineSplitter, StopsWhenAsked) {
  int count = 0;
  LineSplitter splitter(10);
  splitter.Feed(AsBytes("a\nb\nc\n"), [&](const SplitLine&) { return ++count < 2; });
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace fallow
