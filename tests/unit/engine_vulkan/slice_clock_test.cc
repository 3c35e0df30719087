#include "engine/vulkan/slice_clock.h"

#include <gtest/gtest.h>

namespace fallow::engine {
namespace {

TEST(SliceClock, CountsTicksOfTheDevicesPeriod) {
  EXPECT_EQ(TicksToNs(1000, 1100, 64, 10), 1000);
  EXPECT_EQ(TicksToNs(7, 7, 36, 52.08), 0);
}

TEST(SliceClock, ACounterMayWrapDuringASlice) {
  const std::uint64_t last = (std::uint64_t{1} << 36) - 1;
  EXPECT_EQ(TicksToNs(last, 4, 36, 2), 10);
  EXPECT_EQ(TicksToNs(UINT64_MAX, 1, 64, 1), 2);
}

// A driver may answer with zeros, or with the ticks of another counter.
TEST(SliceClock, BelievesTheDeviceWhereItsFigureIsPossible) {
  EXPECT_EQ(SliceNs(3e6, 9e6, 5e6), 3e6);
  EXPECT_EQ(SliceNs(6e6, 9e6, 5e6), 6e6) << "the host may hear of the slice before too late";
  EXPECT_EQ(SliceNs(0, 9e6, 5e6), 5e6);
  EXPECT_EQ(SliceNs(10e6, 9e6, 5e6), 5e6);
  EXPECT_EQ(SliceNs(std::nullopt, 9e6, 5e6), 5e6);
}

}  // namespace
}  // namespace fallow::engine
