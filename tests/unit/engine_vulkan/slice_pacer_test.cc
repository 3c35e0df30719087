#include "engine/vulkan/slice_pacer.h"

#include <gmock/gmock.h>

namespace fallow::engine {
namespace {

using testing::ElementsAre;

TEST(SplitGrid, LeavesSmallWorkWhole) {
  EXPECT_THAT(SplitGrid({3, 9, 1}, 100, 100), ElementsAre(GridPiece{{0, 0, 0}, {3, 9, 1}}));
}

TEST(SplitGrid, CutsTheLongestAxisWithoutGapOrOverlap) {
  EXPECT_THAT(SplitGrid({3, 10, 1}, 100, 40),
              ElementsAre(GridPiece{{0, 0, 0}, {3, 3, 1}}, GridPiece{{0, 3, 0}, {3, 3, 1}},
                          GridPiece{{0, 6, 0}, {3, 4, 1}}));
}

TEST(SplitGrid, CannotCutAWorkgroup) {
  EXPECT_THAT(SplitGrid({2, 1, 1}, 1e12, 1),
              ElementsAre(GridPiece{{0, 0, 0}, {1, 1, 1}}, GridPiece{{1, 0, 0}, {1, 1, 1}}));
}

// A device ten times slower than guessed gets a tenth of the work, after a while; a quick one gets
// more.
TEST(SlicePacer, LearnsTheSpeedOfTheDevice) {
  for (const double ns_per_work : {0.01, 1.0, 10.0}) {
    SlicePacer pacer;
    for (int i = 0; i < 100; ++i) pacer.Learn(pacer.budget(), pacer.budget() * ns_per_work);
    EXPECT_NEAR(pacer.budget() * ns_per_work, 4e6, 4e4);
  }
}

TEST(SlicePacer, DoesNotBelieveOneOutlier) {
  SlicePacer pacer;
  const double before = pacer.budget();
  pacer.Learn(1000, kSliceCeilingNs);
  EXPECT_GT(pacer.budget(), before / 2);
  EXPECT_EQ(pacer.over_ceiling_count(), 0u);
}

// Somebody else has begun to use the device: what takes 60 ms now must not be submitted again.
TEST(SlicePacer, ASliceAboveTheCeilingIsCountedAndMakesTheNextSmallerAtOnce) {
  SlicePacer pacer;
  for (int i = 0; i < 100; ++i) pacer.Learn(pacer.budget(), kSliceTargetNs);
  const double budget = pacer.budget();
  pacer.Learn(budget, 1.5 * kSliceCeilingNs);
  EXPECT_EQ(pacer.over_ceiling_count(), 1u);
  EXPECT_EQ(pacer.longest_ns(), 1.5 * kSliceCeilingNs);
  EXPECT_NEAR(pacer.budget(), budget / 8, budget / 1000);
  pacer.Learn(pacer.budget(), 1.5 * kSliceCeilingNs / 8);
  EXPECT_LT(pacer.budget(), budget / 8) << "and goes on towards the target";
}

// The driver's compiler may hold a first slice up for a second: a few dozen slices later that is
// forgotten.
TEST(SlicePacer, RecoversFromOneVeryLongSlice) {
  SlicePacer pacer;
  const double budget = pacer.budget();
  pacer.Learn(budget, 1e9);
  for (int i = 0; i < 40; ++i) pacer.Learn(pacer.budget(), pacer.budget());
  EXPECT_NEAR(pacer.budget(), budget, budget / 100);
}

}  // namespace
}  // namespace fallow::engine
