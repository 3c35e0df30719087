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

TEST(JobRate, IsNotSlowedByWhatCameBeforeTheFirstResult) {
  JobRate rate;
  SteadyTime now{1h};
  rate.Sample(now, 0);
  now += 8s;  // validated, leased, the model fetched and loaded
  rate.Sample(now, 0);
  now += 1s;
  for (int i = 1; i <= 10; ++i) {
    rate.Sample(now, static_cast<std::uint64_t>(i) * 500);
    now += 200ms;
  }
  EXPECT_NEAR(rate.TokensPerSecond(now - 200ms), 2500, 1e-9);
}

TEST(JobRate, OfOneResultIsOverTheTimeSinceItsJobBegan) {
  JobRate rate;
  SteadyTime now{1h};
  rate.Sample(now, 0);
  now += 5s;
  rate.Sample(now, 400);
  EXPECT_NEAR(rate.TokensPerSecond(now), 80, 1e-9);
}

TEST(JobRate, ForetellsNothingFromTheFirstResultsAlone) {
  JobRate rate;
  const SteadyTime begin{1h};
  EXPECT_FALSE(rate.foretells(begin));
  rate.Sample(begin, 0);
  EXPECT_FALSE(rate.foretells(begin + 9s));
  rate.Sample(begin + 9s, 10);
  EXPECT_FALSE(rate.foretells(begin + 9500ms));
  rate.Sample(begin + 9500ms, 20);
  EXPECT_TRUE(rate.foretells(begin + 10s));
}

TEST(JobRate, FadesWhenResultsStop) {
  JobRate rate;
  SteadyTime now{1h};
  rate.Sample(now, 0);
  rate.Sample(now + 1s, 100);
  rate.Sample(now + 2s, 1100);
  EXPECT_NEAR(rate.TokensPerSecond(now + 2s), 1000, 1e-9);
  EXPECT_NEAR(rate.TokensPerSecond(now + 5s), 250, 1e-9);
  EXPECT_EQ(rate.TokensPerSecond(now + 13s), 0);
}

}  // namespace
}  // namespace fallow::api
