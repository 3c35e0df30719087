#include "engine/vulkan/range_allocator.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace fallow::engine {
namespace {

TEST(RangeAllocator, AlignsRangesAndFillsTheBlock) {
  RangeAllocator ranges(1024, 256);
  EXPECT_EQ(ranges.Allocate(1), 0u);
  EXPECT_EQ(ranges.Allocate(257), 256u);
  EXPECT_EQ(ranges.Allocate(256), 768u);
  EXPECT_EQ(ranges.Allocate(1), std::nullopt);
}

TEST(RangeAllocator, JoinsNeighboursThatWereFreed) {
  RangeAllocator ranges(1024, 256);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ranges.Allocate(256).has_value());
  ranges.Free(256);
  ranges.Free(768);
  EXPECT_EQ(ranges.Allocate(512), std::nullopt);
  ranges.Free(512);
  EXPECT_EQ(ranges.Allocate(768), 256u);
  ranges.Free(0);
  ranges.Free(256);
  EXPECT_TRUE(ranges.empty());
  EXPECT_EQ(ranges.Allocate(1024), 0u);
}

TEST(RangeAllocator, NeverGivesOverlappingRanges) {
  std::mt19937 random(7);
  RangeAllocator ranges(1 << 16, 256);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> live;
  for (int i = 0; i < 5000; ++i) {
    if (live.empty() || random() % 2 == 0) {
      const std::uint64_t size = random() % 4000 + 1;
      const auto offset = ranges.Allocate(size);
      if (!offset.has_value()) continue;
      ASSERT_LE(*offset + size, 1u << 16);
      for (const auto& [other, other_size] : live)
        ASSERT_TRUE(*offset + size <= other || other + other_size <= *offset);
      live.emplace_back(*offset, size);
    } else {
      const std::size_t which = random() % live.size();
      ranges.Free(live[which].first);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  for (const auto& [offset, size] : live) ranges.Free(offset);
  EXPECT_TRUE(ranges.empty());
}

}  // namespace
}  // namespace fallow::engine
