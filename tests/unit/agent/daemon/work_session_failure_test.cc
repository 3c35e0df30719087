// Workers, models, leases and coordinators that fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/work_session_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Fixture = WorkSessionFixture;

TEST(WorkSession, RunsWhatALostWorkerHadAgain) {
  Fixture f;
  f.BeginWork(3);
  f.Finish(1, 1);
  f.worker.Lose("killed by signal 11");
  f.loop.RunPending();
  f.worker.BecomeReady();
  f.loop.RunPending();
  f.BringModel();
  f.ModelLoads();
  const auto runs = f.worker.Told<RunRequests>();
  ASSERT_EQ(runs.size(), 2u);
  ASSERT_EQ(runs[1].requests.size(), 2u) << "the finished one is not run again";
  EXPECT_EQ(runs[1].requests[0].index, 0u);
  EXPECT_EQ(runs[1].requests[1].index, 2u);
}

TEST(WorkSession, GivesALeaseBackThatKillsWorkers) {
  Fixture f;
  f.BeginWork(3);
  for (int i = 0; i < f.options.max_losses_per_lease; ++i) {
    EXPECT_TRUE(f.coordinator.releases.empty());
    f.worker.Lose("killed by signal 11");
    f.loop.RunPending();
    f.worker.BecomeReady();
    f.loop.RunPending();
    if (f.artifacts.waiting) {
      f.BringModel();
      f.ModelLoads();
    }
  }
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_THAT(f.coordinator.releases[0]->request.reason, HasSubstr("signal 11"));
  EXPECT_EQ(f.session.status().state, DeviceState::kFaulty);
  EXPECT_THAT(f.session.status().reason, HasSubstr("signal 11"));
}

TEST(WorkSession, AccusesAWorkerThatLies) {
  Fixture f;
  f.BeginWork(2);
  f.Finish(9, 0);
  f.Finish(0, 0);
  f.Finish(1, 77);
  f.Finish(1, 0);
  f.Finish(1, 0);  // twice
  EXPECT_THAT(f.worker.crimes, ElementsAre(HasSubstr("never given"), HasSubstr("never given"),
                                           HasSubstr("does not have"), HasSubstr("does not have")));
  EXPECT_THAT(f.Reported(), ElementsAre(0));
}

TEST(WorkSession, DropsALeaseThatHasEnded) {
  Fixture f;
  f.BeginWork(3);
  f.Finish(1, 0);
  f.coordinator.reports[0]->Give(ReportReply{false});
  f.loop.RunPending();
  EXPECT_THAT(f.worker.Told<DropTicket>(), ElementsAre(DropTicket{1}));
  EXPECT_TRUE(f.coordinator.releases.empty());
  EXPECT_THAT(f.session.leases(), IsEmpty());
  f.Finish(1, 1);  // was on its way
  EXPECT_THAT(f.worker.crimes, IsEmpty());
}

TEST(WorkSession, HearsFromAHeartbeatThatALeaseHasEnded) {
  Fixture f;
  f.BeginWork(3);
  f.AnswerHeartbeats();
  f.loop.Advance(f.options.heartbeat_period);
  ASSERT_THAT(f.coordinator.heartbeats.back()->request.leases, ElementsAre(LeaseId("lease_1")));
  f.coordinator.heartbeats.back()->Give(
      HeartbeatReply{{LeaseId("lease_1"), LeaseId("lease_unknown")}});
  f.loop.RunPending();
  EXPECT_THAT(f.worker.Told<DropTicket>(), ElementsAre(DropTicket{1}));
  EXPECT_THAT(f.session.leases(), IsEmpty());
}

TEST(WorkSession, GivesALeaseBackWhoseModelDoesNotLoad) {
  Fixture f;
  for (int i = 1; i <= f.options.faulty_after; ++i) {
    if (i == 1) f.Begin();
    f.Grant("lease_" + std::to_string(i), 0, 3);
    f.BringModel();
    f.worker.events.on_model_failed({ErrorCode::kInvalidArgument, "not a GGUF file"});
    f.loop.RunPending();
    ASSERT_EQ(f.coordinator.releases.size(), static_cast<std::size_t>(i));
    f.coordinator.releases.back()->Give(Status());
    const auto asked = f.coordinator.leases.size();
    f.loop.RunPending();
    EXPECT_EQ(f.coordinator.leases.size(), asked) << "not asked again at once";
    f.loop.Advance(2min);
    EXPECT_EQ(f.coordinator.leases.size(), asked + 1);
  }
  EXPECT_THAT(f.coordinator.releases[0]->request.reason, HasSubstr("not a GGUF file"));
  EXPECT_EQ(f.session.status().state, DeviceState::kFaulty);
}

TEST(WorkSession, GivesALeaseBackWhoseModelCannotBeFetched) {
  Fixture f;
  f.Begin();
  f.Grant("lease_1", 0, 3);
  f.artifacts.waiting(Fail(ErrorCode::kResourceExhausted, "the disk is full"));
  f.loop.RunPending();
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_THAT(f.coordinator.releases[0]->request.reason, HasSubstr("the disk is full"));
  EXPECT_THAT(f.session.status().reason, HasSubstr("the disk is full"));
}

// The worker answers in order: a second load must wait for the first one's answer.
TEST(WorkSession, ALeaseThatEndsDuringItsLoadDoesNotConfuseTheNext) {
  Fixture f;
  f.Begin();
  f.Grant("lease_1", 0, 3);
  f.BringModel();
  f.AnswerHeartbeats({{LeaseId("lease_1")}});
  f.Grant("lease_2", 0, 3, "other");
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 1u);
  f.ModelLoads();
  ASSERT_EQ(f.worker.Told<LoadModel>().size(), 2u);
  f.ModelLoads();
  ASSERT_EQ(f.worker.Told<RunRequests>().size(), 1u);
  EXPECT_EQ(f.worker.Told<RunRequests>()[0].ticket, 2u);
}

TEST(WorkSession, AsksAgainWithGrowingDelaysWhileTheCoordinatorIsAway) {
  Fixture f;
  f.Begin();
  for (int i = 0; i < 5; ++i) {
    f.coordinator.leases.back()->Give(ErrorCode::kUnavailable, "connection refused");
    f.loop.RunPending();
    EXPECT_EQ(f.coordinator.leases.size(), static_cast<std::size_t>(i) + 1);
    EXPECT_THAT(f.session.status().reason, HasSubstr("connection refused"));
    f.loop.Advance(60s);
    ASSERT_EQ(f.coordinator.leases.size(), static_cast<std::size_t>(i) + 2);
  }
  EXPECT_EQ(f.session.status().state, DeviceState::kIdle) << "the device is well";
}

TEST(WorkSession, SaysThatTheCoordinatorNoLongerKnowsIt) {
  Fixture f;
  f.Begin();
  f.coordinator.leases.back()->Give(ErrorCode::kUnauthenticated,
                                    "no such device; run `fallow-agent join LINK`");
  f.loop.RunPending();
  EXPECT_EQ(f.session.status().state, DeviceState::kFaulty);
  EXPECT_THAT(f.session.status().reason, HasSubstr("fallow-agent join"));
}

}  // namespace
}  // namespace fallow
