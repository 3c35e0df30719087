#include "agent/daemon/lease_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/seeded_random.h"
#include "protocol/limits.h"
#include "tests/unit/agent/daemon/fake_coordinator.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  SeededRandom random;
  FakeCoordinator coordinator;
  LeaseChannelOptions options;
  int ended = 0;
  int closed = 0;
  LeaseChannel channel{loop,
                       clock,
                       random,
                       coordinator,
                       LeaseId("lease_1"),
                       options,
                       {.status = [] { return DeviceStatus{}; },
                        .on_ended = [this] { ++ended; },
                        .on_closed = [this] { ++closed; },
                        .on_contact = [](const Status&) {}}};

  void Add(std::uint64_t index) {
    AttemptResult result;
    result.attempt = AttemptId("att_" + std::to_string(index));
    result.request_index = index;
    channel.Add(std::move(result));
  }
  std::vector<std::string> Attempts(std::size_t report) {
    std::vector<std::string> names;
    for (const auto& result : coordinator.reports.at(report)->request.results)
      names.push_back(result.attempt.value);
    return names;
  }
};

TEST(LeaseChannel, SendsTheFirstResultAtOnceAndTheNextTogether) {
  Fixture f;
  f.Add(1);
  ASSERT_EQ(f.coordinator.reports.size(), 1u);
  f.Add(2);
  f.Add(3);
  EXPECT_EQ(f.coordinator.reports.size(), 1u);  // one in flight
  f.coordinator.reports[0]->Give(ReportReply{true});
  EXPECT_EQ(f.coordinator.reports.size(), 1u);  // and not more than one a period
  f.loop.Advance(f.options.report_period);
  ASSERT_EQ(f.coordinator.reports.size(), 2u);
  EXPECT_THAT(f.Attempts(0), ElementsAre("att_1"));
  EXPECT_THAT(f.Attempts(1), ElementsAre("att_2", "att_3"));
  f.coordinator.reports[1]->Give(ReportReply{true});
  EXPECT_EQ(f.channel.unacknowledged_count(), 0u);
}

// A coordinator that was killed comes back within minutes; it may or may not have stored what it
// never answered.
TEST(LeaseChannel, RepeatsTheSameAttemptsUntilTheyAreAcknowledged) {
  Fixture f;
  f.Add(1);
  for (int i = 0; i < 20; ++i) {
    f.coordinator.reports.back()->Give(ErrorCode::kUnavailable, "connection refused");
    f.loop.Advance(20s);
    ASSERT_EQ(f.coordinator.reports.size(), static_cast<std::size_t>(i) + 2);
  }
  EXPECT_THAT(f.Attempts(20), ElementsAre("att_1"));
  f.coordinator.reports.back()->Give(ReportReply{true});
  EXPECT_EQ(f.channel.unacknowledged_count(), 0u);
  EXPECT_EQ(f.ended, 0);
}

TEST(LeaseChannel, GivesResultsUpAfterTheirPatience) {
  Fixture f;
  f.Add(1);
  while (f.ended == 0 && f.clock.Steady().time_since_epoch() < 1h + 2 * f.options.result_patience) {
    if (!f.coordinator.reports.back()->answered) {
      f.coordinator.reports.back()->Give(ErrorCode::kUnavailable, "gone");
    }
    f.loop.Advance(1s);
  }
  EXPECT_EQ(f.ended, 1);
  EXPECT_GE(f.clock.Steady().time_since_epoch(), 1h + f.options.result_patience);
}

TEST(LeaseChannel, EndsWhenTheCoordinatorSaysSo) {
  Fixture f;
  f.Add(1);
  f.coordinator.reports[0]->Give(ReportReply{false});
  EXPECT_EQ(f.ended, 1);
  f.channel.Close("the owner is back");
  EXPECT_EQ(f.closed, 1);
  EXPECT_TRUE(f.coordinator.releases.empty());
}

TEST(LeaseChannel, ARefusedReportEndsTheLease) {
  Fixture f;
  f.Add(1);
  f.coordinator.reports[0]->Give(ErrorCode::kNotFound, "no such lease");
  EXPECT_EQ(f.ended, 1);
  EXPECT_EQ(f.channel.unacknowledged_count(), 0u);
}

TEST(LeaseChannel, ReleasesOnlyAfterTheResultsAreAcknowledged) {
  Fixture f;
  f.Add(1);
  f.Add(2);
  f.channel.Close("the owner is back");
  EXPECT_TRUE(f.coordinator.releases.empty());
  f.coordinator.reports[0]->Give(ReportReply{true});
  ASSERT_EQ(f.coordinator.reports.size(),
            2u);  // at once: nothing more comes that could go together
  f.coordinator.reports[1]->Give(ReportReply{true});
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_EQ(f.coordinator.releases[0]->request.reason, "the owner is back");
  EXPECT_EQ(f.closed, 0);
  f.coordinator.releases[0]->Give(Status());
  EXPECT_EQ(f.closed, 1);
}

TEST(LeaseChannel, ClosesWithoutReleaseWhenNothingIsLeft) {
  Fixture f;
  f.Add(1);
  f.channel.Close(std::nullopt);
  f.coordinator.reports[0]->Give(ReportReply{true});
  EXPECT_EQ(f.closed, 1);
  EXPECT_TRUE(f.coordinator.releases.empty());
}

TEST(LeaseChannel, RepeatsTheReleaseForAWhileOnly) {
  Fixture f;
  f.channel.Close("the owner is back");
  while (f.closed == 0 && f.coordinator.releases.size() < 100) {
    if (!f.coordinator.releases.back()->answered)
      f.coordinator.releases.back()->Give(ErrorCode::kUnavailable, "gone");
    f.loop.Advance(1s);
  }
  EXPECT_EQ(f.closed, 1);
  EXPECT_GT(f.coordinator.releases.size(), 3u);
}

TEST(LeaseChannel, CutsReportsAtTheirLimits) {
  Fixture f;
  f.Add(0);
  for (std::uint64_t i = 1; i <= kMaxResultsPerReport + 1; ++i) f.Add(i);
  f.channel.Close(std::nullopt);
  f.coordinator.reports[0]->Give(ReportReply{true});
  f.coordinator.reports[1]->Give(ReportReply{true});
  ASSERT_EQ(f.coordinator.reports.size(), 3u);
  EXPECT_EQ(f.coordinator.reports[1]->request.results.size(), kMaxResultsPerReport);
  EXPECT_EQ(f.coordinator.reports[2]->request.results.size(), 1u);
  AttemptResult long_text, vectors;
  long_text.text.assign(5 << 20, 'x');
  vectors.embeddings.assign(1024, std::vector<float>(1024));
  for (const AttemptResult& large : {long_text, vectors}) {
    Fixture g;
    for (int i = 0; i < 3; ++i) g.channel.Add(large);
    g.channel.Close(std::nullopt);
    for (std::size_t i = 0; i < 3; ++i) {
      ASSERT_EQ(g.coordinator.reports.size(), i + 1);
      EXPECT_EQ(g.coordinator.reports[i]->request.results.size(), 1u);
      g.coordinator.reports[i]->Give(ReportReply{true});
    }
    EXPECT_EQ(g.closed, 1);
  }
}

}  // namespace
}  // namespace fallow
