#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cli/fakes.h"

namespace fallow::cli {
namespace {

using testing::ElementsAre;

JobRecord JobAt(int completed, int failed = 0, const std::string& state = "in_progress") {
  return ReadJob(JobJson(state, completed, failed)).value();
}

TEST(ProgressLine, SaysWhatIsDoneHowFastAndHowLong) {
  EXPECT_EQ(ProgressLine(JobAt(126, 2), 110, Glyphs::kAscii),
            "####################............   64%  126 of 200  2 failed  1,240 tokens/s  1 "
            "device  2.4 s left");
}

TEST(ProgressLine, FitsEveryWidth) {
  for (std::size_t width = 1; width < 130; ++width) {
    EXPECT_LE(DisplayWidth(ProgressLine(JobAt(126, 2), width, Glyphs::kUnicode)), width);
  }
}

TEST(ProgressLine, NamesTheStateWhereABarWouldSayNothing) {
  EXPECT_EQ(ProgressLine(JobAt(0, 0, "validating"), 80, Glyphs::kAscii), "validating");
}

TEST(ProgressText, TellsThatNobodyIsThere) {
  JobRecord job = JobAt(0);
  job.devices = 0;
  job.seconds_left.reset();
  EXPECT_EQ(ProgressText(job), "0 of 200 done, 1,240 tokens/s, waiting for a device");
}

TEST(ProgressView, InALogSpeaksOnNewsOrNowAndThen) {
  FakeConsole console;
  ProgressView view(console);
  const SteadyTime start{};
  view.Show(JobAt(10), start);
  view.Show(JobAt(11), start + std::chrono::seconds(1));  // same tenth
  view.Show(JobAt(20), start + std::chrono::seconds(2));
  view.Show(JobAt(21), start + std::chrono::seconds(13));  // long silence
  EXPECT_THAT(console.notes,
              ElementsAre(testing::StartsWith("10 of 200"), testing::StartsWith("20 of 200"),
                          testing::StartsWith("21 of 200")));
}

TEST(ProgressView, InATerminalRenewsOneLine) {
  FakeConsole console;
  console.is_terminal = true;
  ProgressView view(console);
  view.Show(JobAt(10), {});
  view.Show(JobAt(11), {});
  EXPECT_EQ(console.statuses.size(), 2u);
  EXPECT_TRUE(console.notes.empty());
}

}  // namespace
}  // namespace fallow::cli
