#include "agent/daemon/yield_stats.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;

Yield After(std::chrono::microseconds latency, Yield::How how = Yield::How::kStopped) {
  const SteadyTime input{5s};
  return {.input_at = input, .freed_at = input + latency, .how = how};
}

TEST(YieldStats, KnowsNothingAtFirst) {
  const auto summary = YieldStats().summary();
  EXPECT_EQ(summary.count, 0u);
  EXPECT_EQ(summary.p99_ms, 0);
  EXPECT_FALSE(summary.last.has_value());
}

TEST(YieldStats, GivesPercentilesByNearestRank) {
  YieldStats stats;
  for (int ms = 100; ms >= 1; --ms) stats.Add(After(std::chrono::milliseconds(ms)));
  auto summary = stats.summary();
  EXPECT_EQ(summary.p50_ms, 50);
  EXPECT_EQ(summary.p99_ms, 99);
  EXPECT_EQ(summary.max_ms, 100);
  stats.Add(After(1500us));
  summary = stats.summary();
  EXPECT_EQ(summary.p50_ms, 50) << "of 101 the 51st, which is 50";
  EXPECT_EQ(summary.last, After(1500us));
}

TEST(YieldStats, OneYieldIsAllItsPercentiles) {
  YieldStats stats;
  stats.Add(After(12'345us));
  const auto summary = stats.summary();
  EXPECT_EQ(summary.p50_ms, 12.345);
  EXPECT_EQ(summary.p99_ms, 12.345);
  EXPECT_EQ(summary.max_ms, 12.345);
}

TEST(YieldStats, AnIdleDeviceDoesNotFlatterTheFigures) {
  YieldStats stats;
  stats.Add(After(80ms));
  for (int i = 0; i < 99; ++i) stats.Add(After(0us, Yield::How::kIdle));
  const auto summary = stats.summary();
  EXPECT_EQ(summary.count, 1u);
  EXPECT_EQ(summary.idle_count, 99u);
  EXPECT_EQ(summary.p50_ms, 80);
  EXPECT_EQ(summary.last, After(80ms));
}

TEST(YieldStats, ForgetsTheOldestAndCountsOn) {
  YieldStats stats;
  stats.Add(After(500ms, Yield::How::kKilled));
  for (std::size_t i = 0; i < YieldStats::kMaxYields; ++i) stats.Add(After(5ms));
  const auto summary = stats.summary();
  EXPECT_EQ(summary.count, YieldStats::kMaxYields + 1);
  EXPECT_EQ(summary.killed_count, 1u);
  EXPECT_EQ(summary.max_ms, 5);
}

}  // namespace
}  // namespace fallow
