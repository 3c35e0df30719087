#include <gtest/gtest.h>

#include "coordinator/api/live_feed.h"

namespace fallow::api {
namespace {

using namespace std::chrono_literals;

TEST(JobRate, IsTheMeanOfTheLastTenSeconds) {
  JobRate rate;
  SteadyTime now{1h};
  EXPECT_EQ(rate.TokensPerSecond(now), 0);
  rate.Sample(now, 0);
  for (int i = 1; i <= 40; ++i) {
    now += 500ms;
    rate.Sample(now, static_cast<std::uint64_t>(i) * 50);
  }
  EXPECT_NEAR(rate.TokensPerSecond(now), 100, 1e-9);
  EXPECT_NEAR(rate.TokensPerSecond(now + 5s), 50, 6);
  EXPECT_EQ(rate.TokensPerSecond(now + 11s), 0);
}

}  // namespace
}  // namespace fallow::api
