// A few seeds in every test run; `./dev sim` runs many.
#include "tests/simulation/fleet_simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow::simulation {
namespace {

class FleetSimulation : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, FleetSimulation, testing::Range<std::uint64_t>(1, 13));

TEST_P(FleetSimulation, EveryJobEndsAsIfNothingHadHappened) {
  const SimulationReport report = Simulate({.seed = GetParam()});
  EXPECT_THAT(report.violations, testing::IsEmpty());
}

// A simulation in which nothing goes wrong proves nothing.
TEST(FleetSimulationTrouble, Happens) {
  SimulationReport sum;
  for (const std::uint64_t seed : {1, 2, 3}) {
    const SimulationReport report = Simulate({.seed = seed});
    sum.lost_replies += report.lost_replies;
    sum.owner_returns += report.owner_returns;
    sum.deaths += report.deaths;
    sum.outages += report.outages;
    sum.restarts += report.restarts;
    sum.full_disks += report.full_disks;
  }
  for (const std::uint64_t count : {sum.lost_replies, sum.owner_returns, sum.deaths, sum.outages,
                                    sum.restarts, sum.full_disks}) {
    EXPECT_GT(count, 0u);
  }
}

TEST(FleetSimulationRun, RepeatsFromItsSeed) {
  const SimulationReport first = Simulate({.seed = 7}), second = Simulate({.seed = 7});
  EXPECT_EQ(first.reports, second.reports);
  EXPECT_EQ(first.leases, second.leases);
  EXPECT_EQ(first.simulated, second.simulated);
}

}  // namespace
}  // namespace fallow::simulation
