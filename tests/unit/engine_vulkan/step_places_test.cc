#include "engine/vulkan/step_places.h"

#include <gmock/gmock.h>

#include <vector>

namespace fallow::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Three rows of two sequences of up to three pages.
struct Rows {
  std::vector<std::uint32_t> tokens{7, 900, 8};
  std::vector<std::uint32_t> positions{0, 300, 600};
  std::vector<std::uint32_t> pages{3, 0, 0, 1, 2, 0, 4, 5, 0};
  std::vector<std::uint32_t> last_seen;
  std::vector<std::uint32_t> rotary_places;

  StepRows view() const { return {tokens, positions, pages, 3, last_seen, rotary_places}; }
};

TEST(StepPlaces, KnowsTheExtremesOfItsRows) {
  StepPlaces places;
  ASSERT_TRUE(places.Read(Rows().view(), 6).has_value());
  EXPECT_EQ(places.max_token(), 900u);
  EXPECT_EQ(places.max_position(), 600u);
  EXPECT_EQ(places.max_rotary_place(), 600u);
  EXPECT_EQ(places.max_page(), 5u);
}

TEST(StepPlaces, LaysOutWordsForTheDevice) {
  Rows rows;
  rows.rotary_places = {1, 2, 9};
  StepPlaces places;
  ASSERT_TRUE(places.Read(rows.view(), 6).has_value());
  const auto words = [&](std::uint32_t offset) {
    const auto three = places.words().subspan(offset, 3);
    return std::vector<std::uint32_t>(three.begin(), three.end());
  };
  EXPECT_EQ(words(places.tokens_offset()), rows.tokens);
  EXPECT_EQ(words(places.positions_offset()), rows.positions);
  EXPECT_THAT(words(places.pages_offset() + 6), ElementsAre(4, 5, 0));
  EXPECT_EQ(places.last_seen_offset(), places.positions_offset());
  EXPECT_EQ(words(places.rotary_places_offset()), rows.rotary_places);
  EXPECT_EQ(places.max_rotary_place(), 9u);
  rows.last_seen = {255, 300, 767};
  ASSERT_TRUE(places.Read(rows.view(), 6).has_value());
  EXPECT_EQ(words(places.last_seen_offset()), rows.last_seen);
  places.Append(std::vector<std::uint32_t>{2, 1, 0});
  EXPECT_EQ(places.words().size(), StepPlaces::MostWords(3, 3));
}

TEST(StepPlaces, CountsTheChunksThatRowsSee) {
  StepPlaces places;
  ASSERT_TRUE(places.Read(Rows().view(), 6).has_value());
  EXPECT_EQ(places.Seen(0).chunks, 3u);
  EXPECT_EQ(places.Seen(0).positions, 601u);
  // 600 sees 511 … 600 of chunks 1 and 2; 300 sees 211 … 300 of chunks 0 and 1.
  EXPECT_EQ(places.Seen(90).chunks, 2u);
  EXPECT_EQ(places.Seen(90).positions, 90u);
  EXPECT_EQ(places.Seen(1).chunks, 1u);
}

TEST(StepPlaces, CountsWhatRowsSeeAheadOfThem) {
  Rows rows;
  rows.last_seen = {700, 300, 600};
  StepPlaces places;
  ASSERT_TRUE(places.Read(rows.view(), 6).has_value());
  EXPECT_EQ(places.Seen(1).chunks, 3u);  // 0 … 700
  EXPECT_EQ(places.Seen(1).positions, 701u);
}

TEST(StepPlaces, RefusesRowsBeyondTheirPages) {
  const auto refusal = [](auto change, std::uint32_t page_count = 6) {
    Rows rows;
    change(rows);
    StepPlaces places;
    const Status status = places.Read(rows.view(), page_count);
    EXPECT_EQ(status.has_value() ? ErrorCode::kInternal : status.error().code,
              ErrorCode::kInvalidArgument);
    return status.has_value() ? std::string("accepted") : status.error().message;
  };
  EXPECT_THAT(refusal([](Rows&) {}, 5), HasSubstr("row 2: position 600 is beyond"));
  EXPECT_THAT(refusal([](Rows& r) { r.positions[0] = 768; }), HasSubstr("row 0: position 768"));
  EXPECT_THAT(refusal([](Rows& r) {
                r.last_seen = {0, 768, 600};
              }),
              HasSubstr("row 1: position 768"));
  EXPECT_THAT(refusal([](Rows& r) {
                r.last_seen = {0, 299, 600};
              }),
              HasSubstr("row 1: the last position it sees, 299, is before its own, 300"));
}

}  // namespace
}  // namespace fallow::engine
