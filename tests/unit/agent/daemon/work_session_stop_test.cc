// What is given back when the owner returns, at the end, and after a kill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/work_session_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using Fixture = WorkSessionFixture;

TEST(WorkSession, GivesEverythingBackWhenTheOwnerReturns) {
  Fixture f;
  f.BeginWork(70);
  f.AnswerHeartbeats();
  f.Finish(1, 0);
  f.session.Stop(DeviceState::kInUse, "input 0 s ago");
  EXPECT_EQ(f.worker.stops.size(), 1u);
  EXPECT_EQ(f.session.status().state, DeviceState::kInUse);
  f.loop.RunPending();
  EXPECT_TRUE(f.coordinator.releases.empty()) << "what is finished goes first";
  f.AcknowledgeAll();
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_EQ(f.coordinator.releases[0]->request.lease, LeaseId("lease_1"));
  EXPECT_EQ(f.coordinator.releases[0]->request.reason, "input 0 s ago");
  EXPECT_EQ(f.coordinator.releases[0]->request.status.state, DeviceState::kInUse);
  f.coordinator.releases[0]->Give(Status());
  f.loop.RunPending();
  EXPECT_THAT(f.session.leases(), IsEmpty());
  EXPECT_EQ(f.coordinator.heartbeats.back()->request.status.state, DeviceState::kInUse)
      << "told at once";
}

TEST(WorkSession, AGrantThatComesAfterTheOwnerGoesBackAtOnce) {
  Fixture f;
  f.Begin();
  f.session.Stop(DeviceState::kInUse, "input 0 s ago");
  f.Grant("lease_1", 0, 5);
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_THAT(f.artifacts.wanted, IsEmpty());
}

TEST(WorkSession, AsksForNothingWhileTheMachineIsInUse) {
  Fixture f;
  f.session.Stop(DeviceState::kInUse, "somebody is here");
  f.loop.Advance(10min);
  EXPECT_TRUE(f.coordinator.leases.empty());
  EXPECT_FALSE(f.worker.wanted);
  EXPECT_GE(f.coordinator.heartbeats.size(), 1u);
}

TEST(WorkSession, WorksAgainAfterTheOwnerHasGone) {
  Fixture f;
  f.BeginWork(70);
  f.session.Stop(DeviceState::kInUse, "input 0 s ago");
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.Begin();
  ASSERT_EQ(f.coordinator.leases.size(), 2u);
  f.Grant("lease_2", 0, 5);
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 2u) << "a new process has no model";
}

// The owner only types: the next pause finds the model where it was.
TEST(WorkSession, DoesNotLoadAModelAgainThatWasKept) {
  Fixture f;
  f.BeginWork(70);
  const SteadyTime input = f.clock.Steady();
  f.session.Stop(DeviceState::kInUse, "input 0 s ago", {.keep_memory = true, .input_at = input});
  ASSERT_EQ(f.worker.stops.size(), 1u);
  EXPECT_TRUE(f.worker.stops[0].keep_memory);
  EXPECT_EQ(f.worker.stops[0].input_at, input);
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.session.Run("no input for 3 min");
  f.worker.BecomeReady(/*model_loaded=*/true);
  f.loop.RunPending();
  f.Grant("lease_2", 0, 5);
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 1u);
  EXPECT_EQ(f.worker.Told<RunRequests>().size(), 2u);
}

TEST(WorkSession, LoadsAgainWhatAStopBrokeOff) {
  Fixture f;
  f.Begin();
  f.Grant("lease_1", 0, 5);
  f.BringModel();
  f.session.Stop(DeviceState::kInUse, "input 0 s ago", {.keep_memory = true});
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.Begin();
  f.Grant("lease_2", 0, 5);
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 2u);
}

TEST(WorkSession, EndsAKeptWorkerWhenItsMemoryIsWantedLater) {
  Fixture f;
  f.BeginWork(70);
  f.session.Stop(DeviceState::kInUse, "input 0 s ago", {.keep_memory = true});
  f.session.Stop(DeviceState::kInUse, "input 5 s ago", {.keep_memory = true});
  EXPECT_EQ(f.worker.stops.size(), 1u);
  f.session.Stop(DeviceState::kInUse, "a game runs", {.keep_memory = false});
  ASSERT_EQ(f.worker.stops.size(), 2u);
  EXPECT_FALSE(f.worker.stops[1].keep_memory);
}

// A killed agent cannot release; the next start does it for it, so that its requests need not wait
// for the expiry.
TEST(WorkSession, GivesBackWhatAKilledAgentHeld) {
  Fixture f;
  f.session.GiveBack({LeaseId("lease_8"), LeaseId("lease_9")});
  f.loop.RunPending();
  ASSERT_EQ(f.coordinator.releases.size(), 2u);
  EXPECT_EQ(f.coordinator.releases[0]->request.lease, LeaseId("lease_8"));
  EXPECT_THAT(f.told_leases, ElementsAre(LeaseId("lease_8"), LeaseId("lease_9")));
  f.coordinator.releases[0]->Give(Status());
  f.coordinator.releases[1]->Give(ErrorCode::kNotFound, "no such lease");
  f.loop.RunPending();
  EXPECT_THAT(f.told_leases, IsEmpty());
}

TEST(WorkSession, TellsWhichLeasesItHolds) {
  Fixture f;
  f.BeginWork(1);
  EXPECT_THAT(f.told_leases, ElementsAre(LeaseId("lease_1")));
  f.Finish(1, 0);
  EXPECT_THAT(f.told_leases, ElementsAre(LeaseId("lease_1"))) << "not acknowledged yet";
  f.AcknowledgeAll();
  EXPECT_THAT(f.told_leases, IsEmpty());
}

TEST(WorkSession, ShutsDownWhenEverythingIsReleased) {
  Fixture f;
  f.BeginWork(3);
  bool done = false;
  f.session.ShutDown(5s, [&] { done = true; });
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.AnswerHeartbeats();
  EXPECT_TRUE(done);
}

TEST(WorkSession, ShutsDownInTimeEvenWhenNobodyAnswers) {
  Fixture f;
  f.BeginWork(3);
  int done = 0;
  f.session.ShutDown(5s, [&] { ++done; });
  f.loop.Advance(4999ms);
  EXPECT_EQ(done, 0);
  f.loop.Advance(1ms);
  EXPECT_EQ(done, 1);
  f.session.Run("no input for 3 min");
  EXPECT_NE(f.session.status().state, DeviceState::kWorking);
}

}  // namespace
}  // namespace fallow
