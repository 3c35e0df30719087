#include "platform/linux/gpu_shares.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

constexpr std::nullopt_t kNone = std::nullopt;

DrmUse Use(double all, double own, double foreign) {
  return {.all_share = all, .own_share = own, .foreign_share = foreign, .accounted = true};
}

TEST(GpuShares, AreNoneWithoutEvidence) {
  EXPECT_EQ(JudgeShares({}), (GpuShares{kNone, kNone}));
}

TEST(GpuShares, AreTheCountersWhereWeDoNotRun) {
  EXPECT_EQ(JudgeShares({.counter = 0.3}), (GpuShares{0.3, 0.3}));
}

TEST(GpuShares, AreNotGuessedFromTheCounterAloneWhereWeRun) {
  EXPECT_EQ(JudgeShares({.counter = 0.9, .we_run = true}), (GpuShares{0.9, kNone}));
}

TEST(GpuShares, AreTheAccountsWhereAllWereSeen) {
  EXPECT_EQ(JudgeShares({.counter = 1.0,
                         .use = Use(0.9, 0.7, 0.2),
                         .saw_all = true,
                         .saw_ours = true,
                         .we_run = true}),
            (GpuShares{1.0, 0.2}));
  EXPECT_EQ(JudgeShares({.use = Use(0, 0, 0), .saw_all = true}), (GpuShares{0.0, 0.0}));
}

// Others' processes are closed to us: what the counter has beside ours is theirs.
TEST(GpuShares, AreWhatTheCounterHasBesideOurs) {
  const GpuEvidence evidence{
      .counter = 0.9, .use = Use(0.6, 0.6, 0), .saw_ours = true, .we_run = true};
  EXPECT_DOUBLE_EQ(JudgeShares(evidence).foreign.value(), 0.3);
}

TEST(GpuShares, AreNeverLessThanWhatWasSeen) {
  EXPECT_EQ(
      JudgeShares({.counter = 0.5, .use = Use(0.6, 0.5, 0.4), .saw_ours = true, .we_run = true})
          .foreign,
      0.4);
  EXPECT_EQ(JudgeShares({.counter = 0.5, .use = Use(0.4, 0, 0.4), .we_run = true}).foreign, 0.4);
}

TEST(GpuShares, AreNeverZeroBecauseNothingWasSeen) {
  EXPECT_EQ(JudgeShares({.use = Use(0, 0, 0), .saw_ours = true}), (GpuShares{kNone, kNone}));
  EXPECT_EQ(JudgeShares({.use = Use(0.1, 0, 0.1), .saw_ours = true}), (GpuShares{0.1, 0.1}));
}

}  // namespace
}  // namespace fallow
