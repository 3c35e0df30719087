// Giving the device back: stopped, parked, paced, hurried, killed, and how long it took.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/supervisor_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using Fixture = SupervisorFixture;

TEST(WorkerSupervisor, StopsByTheLadder) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({});
  EXPECT_FALSE(f.worker.ready());
  EXPECT_THAT(f.Told(), ElementsAre(kStopWorkIndex));
  f.loop.Advance(40ms);
  f.Says(Stopped{.stop_latency_us = 4000});
  EXPECT_EQ(f.worker.last_stop_latency(), 40ms);
  EXPECT_TRUE(f.child().input_closed);
  EXPECT_FALSE(f.child().killed);
  f.child().Exit({.code = 0, .signal = 0});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.state_name(), "stopped");
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, KillsAWorkerThatDoesNotStopInTime) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({});
  f.loop.Advance(99ms);
  EXPECT_FALSE(f.child().killed);
  f.loop.Advance(1ms);
  EXPECT_TRUE(f.child().killed);
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.last_stop_latency(), 100ms);
  EXPECT_TRUE(f.events.empty()) << "a stop is no loss";
}

TEST(WorkerSupervisor, KillsAWorkerThatStopsButDoesNotLeave) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({});
  f.Says(Stopped{});
  f.loop.Advance(f.options.exit_patience);
  EXPECT_TRUE(f.child().killed);
}

// A driver that compiles listens to nobody, and nothing is lost with it.
TEST(WorkerSupervisor, KillsAWorkerThatIsStillStartingAtOnce) {
  Fixture f;
  f.worker.Start();
  f.worker.Stop({.keep_memory = true});
  EXPECT_TRUE(f.child().killed);
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.state_name(), "stopped");
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, AParkedWorkerGoesOnWithItsModel) {
  Fixture f;
  f.BecomeReady();
  f.LoadsModel();
  f.Work(1, 2);
  f.worker.Stop({.keep_memory = true});
  f.Says(Stopped{});
  EXPECT_TRUE(f.worker.parked());
  EXPECT_FALSE(f.worker.ready());
  EXPECT_FALSE(f.child().input_closed);
  f.loop.Advance(24h);
  EXPECT_FALSE(f.child().killed) << "it has no work to make progress with";
  f.worker.Start();
  EXPECT_TRUE(f.worker.ready());
  EXPECT_THAT(f.events, ElementsAre("ready with its model"));
  EXPECT_EQ(f.launcher.children().size(), 1u);
}

TEST(WorkerSupervisor, AWorkerParkedDuringALoadHasNoModel) {
  Fixture f;
  f.BecomeReady();
  f.LoadsModel();
  f.worker.Send(LoadModel{"another"});
  f.worker.Stop({.keep_memory = true});
  f.Says(WorkerFailure{{ErrorCode::kCancelled, "stopped"}});
  f.Says(Stopped{});
  EXPECT_TRUE(f.worker.parked());
  f.worker.Start();
  EXPECT_THAT(f.events, ElementsAre("ready"));
}

TEST(WorkerSupervisor, WantedAgainBeforeItHasStoppedItGoesOnAsSoonAsItHas) {
  Fixture f;
  f.BecomeReady();
  f.LoadsModel();
  f.worker.Stop({.keep_memory = true});
  f.worker.Start();
  EXPECT_TRUE(f.events.empty());
  f.Says(Stopped{});
  EXPECT_THAT(f.events, ElementsAre("ready with its model"));
}

TEST(WorkerSupervisor, KillsAWorkerThatDoesNotParkInTime) {
  Fixture f;
  f.BecomeReady();
  f.LoadsModel();
  f.worker.Stop({.keep_memory = true});
  f.loop.Advance(100ms);
  EXPECT_TRUE(f.child().killed);
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  f.worker.Start();
  EXPECT_EQ(f.launcher.children().size(), 2u);
  f.Says(WorkerReady{});
  EXPECT_THAT(f.events, ElementsAre("ready")) << "the model went with the process";
}

TEST(WorkerSupervisor, EndsAParkedWorkerWhenItsMemoryIsWanted) {
  Fixture f;
  f.Park();
  f.worker.Stop({.keep_memory = true});
  EXPECT_FALSE(f.child().input_closed);
  f.worker.Stop({.keep_memory = false});
  EXPECT_TRUE(f.child().input_closed);
  EXPECT_EQ(f.worker.state_name(), "leaving");
  f.loop.Advance(f.options.exit_patience);
  EXPECT_TRUE(f.child().killed);
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.state_name(), "stopped");
}

TEST(WorkerSupervisor, WantsTheMemoryToo) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({.keep_memory = true});
  f.worker.Stop({.keep_memory = false});
  f.worker.Stop({.keep_memory = true});
  f.Says(Stopped{});
  EXPECT_TRUE(f.child().input_closed) << "once the memory was wanted it is given";
}

TEST(WorkerSupervisor, AParkedWorkerThatDiesIsStopped) {
  Fixture f;
  f.Park();
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.Advance(1h);
  EXPECT_EQ(f.worker.state_name(), "stopped");
  EXPECT_EQ(f.launcher.children().size(), 1u) << "nobody wants it now";
  EXPECT_EQ(f.worker.loss_count(), 0);
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, KillsAParkedWorkerThatSpeaks) {
  Fixture f;
  f.Park();
  f.Says(ProgressReport{});
  EXPECT_TRUE(f.child().killed);
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.state_name(), "stopped");
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, GarbageInsteadOfStoppedIsKilledAndStillAStop) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({.keep_memory = true});
  f.child().Output(Bytes{0xFF, 0xFF, 0xFF, 0xFF});
  EXPECT_TRUE(f.child().killed);
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.state_name(), "stopped");
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, AParkedWorkerOfOtherArgumentsIsNotUsedAgain) {
  Fixture f;
  f.worker.SetMoreArguments({"--device", "0000:01:00.0"});
  f.Park();
  EXPECT_THAT(f.child().options.arguments,
              ElementsAre("fallow-worker", "--backend", "cpu", "--device", "0000:01:00.0"));
  f.worker.SetMoreArguments({"--device", "0000:02:00.0"});
  f.worker.Start();
  EXPECT_TRUE(f.child().input_closed);
  f.child().Exit({.code = 0, .signal = 0});
  f.loop.RunPending();
  ASSERT_EQ(f.launcher.children().size(), 2u);
  EXPECT_EQ(f.child().options.arguments.back(), "0000:02:00.0");
}

TEST(WorkerSupervisor, TellsThePaceWhenItChangesAndToEveryNewProcess) {
  Fixture f;
  f.worker.SetShare(0.5);
  f.BecomeReady();
  f.worker.SetShare(0.5);
  f.worker.SetShare(0.25);
  EXPECT_THAT(f.Told(), ElementsAre(kSetPaceIndex, kSetPaceIndex));
  f.worker.Stop({.keep_memory = true});
  f.worker.SetShare(0);
  EXPECT_EQ(f.Told().size(), 3u) << "a stopping one has nothing to pace";
  f.Says(Stopped{});
  f.worker.Start();
  EXPECT_THAT(f.Told(), ElementsAre(kSetPaceIndex, kSetPaceIndex, kStopWorkIndex, kSetPaceIndex));
  f.child().Exit({.code = 1, .signal = 0});
  f.loop.Advance(2s);
  f.Says(WorkerReady{});
  EXPECT_THAT(f.Told(), ElementsAre(kSetPaceIndex));
}

// With a fiftieth of the time a step may take fifty times as long.
TEST(WorkerSupervisor, IsAsPatientAsThePaceAsks) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 2);
  f.worker.SetShare(0.1);
  f.loop.Advance(10 * f.options.progress_patience - 1ms);
  EXPECT_FALSE(f.child().killed);
  f.loop.Advance(1ms);
  EXPECT_TRUE(f.child().killed);
}

// A load ends with some steps, which are paced.
TEST(WorkerSupervisor, IsAsPatientWithALoad) {
  Fixture f;
  f.BecomeReady();
  f.worker.SetShare(0.5);
  f.worker.Send(LoadModel{"m"});
  f.worker.SetShare(0.1);
  f.loop.Advance(10 * f.options.load_patience - 1ms);
  EXPECT_FALSE(f.child().killed);
  f.loop.Advance(1ms);
  EXPECT_TRUE(f.child().killed);
}

// Neighbours that take all processors would keep it from stopping.
TEST(WorkerSupervisor, GivesAStoppingWorkerAnOrdinaryPartOfTheProcessors) {
  Fixture f;
  f.BecomeReady();
  EXPECT_TRUE(f.hastes.empty());
  f.worker.Stop({.keep_memory = true});
  EXPECT_THAT(f.hastes, ElementsAre(Haste::kHurry));
  f.Says(Stopped{});
  f.loop.Advance(f.options.haste_lasts);
  EXPECT_THAT(f.hastes, ElementsAre(Haste::kHurry, Haste::kNone));
  f.worker.Stop({.keep_memory = false});
  EXPECT_THAT(f.hastes, ElementsAre(Haste::kHurry, Haste::kNone, Haste::kHurry));
  f.child().Exit({.code = 0, .signal = 0});
  f.loop.Advance(1h);
  EXPECT_EQ(f.hastes.size(), 3u) << "nothing is done to a process that has gone";
}

// The pause was so short that the worker is at work again before its haste is over.
TEST(WorkerSupervisor, AResumedWorkerGivesWayAgain) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({.keep_memory = true});
  f.Says(Stopped{});
  f.worker.Start();
  f.loop.Advance(f.options.haste_lasts);
  EXPECT_THAT(f.hastes, ElementsAre(Haste::kHurry, Haste::kNone));
}

// Somebody else's change came just before: the kernel refuses ours.
TEST(WorkerSupervisor, TriesToGiveWayAgainUntilItMay) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({.keep_memory = true});
  f.Says(Stopped{});
  f.worker.Start();
  f.haste_answer = Fail(ErrorCode::kUnavailable, "too soon");
  f.loop.Advance(3 * f.options.haste_lasts);
  f.haste_answer = {};
  f.loop.Advance(10 * f.options.haste_lasts);
  EXPECT_THAT(f.hastes,
              ElementsAre(Haste::kHurry, Haste::kNone, Haste::kNone, Haste::kNone, Haste::kNone));
}

TEST(WorkerSupervisor, DoesNotTryAgainWhatCannotBe) {
  Fixture f;
  f.haste_answer = Fail(ErrorCode::kNotFound, "this kernel has no autogroups");
  f.Park();
  f.loop.Advance(10 * f.options.haste_lasts);
  EXPECT_THAT(f.hastes, ElementsAre(Haste::kHurry, Haste::kNone));
}

TEST(WorkerSupervisor, MeasuresFromTheOwnersInput) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 2);
  const SteadyTime input = f.clock.Steady();
  f.clock.Advance(3ms);  // on its way to us
  f.worker.Stop({.keep_memory = true, .input_at = input});
  f.loop.Advance(9ms);
  f.Says(Stopped{});
  const Yield expected{.input_at = input, .freed_at = input + 12ms, .how = Yield::How::kStopped};
  EXPECT_EQ(f.worker.yields().summary().last, expected);
  EXPECT_EQ(f.worker.last_stop_latency(), 9ms);
}

TEST(WorkerSupervisor, AKilledWorkerHasFreedTheDeviceWhenItIsGone) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 2);
  const SteadyTime input = f.clock.Steady();
  f.worker.Stop({.input_at = input});
  f.loop.Advance(100ms);
  EXPECT_EQ(f.worker.yields().summary().count, 0u);
  f.loop.Advance(7ms);
  f.child().Exit({.code = -1, .signal = 9});
  const Yield expected{.input_at = input, .freed_at = input + 107ms, .how = Yield::How::kKilled};
  EXPECT_EQ(f.worker.yields().summary().last, expected);
}

TEST(WorkerSupervisor, CountsYieldsOfABusyDeviceToAnOwnerAlone) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({.keep_memory = true, .input_at = f.clock.Steady()});  // it did nothing
  f.Says(Stopped{});
  f.worker.Start();
  f.Work(1, 2);
  f.worker.Stop({.keep_memory = true});  // no owner: the machine is hot
  f.Says(Stopped{});
  const auto summary = f.worker.yields().summary();
  EXPECT_EQ(summary.count, 0u);
  EXPECT_EQ(summary.idle_count, 1u);
}

TEST(WorkerSupervisor, ResultsAfterTheStopDoNotCount) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 1);
  f.worker.Stop({});
  f.Says(Finished(1, 0));
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, StartsAnewWhenWantedAgainWhileStopping) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop({});
  f.worker.Start();
  EXPECT_EQ(f.launcher.children().size(), 1u);
  f.Says(Stopped{});
  f.child().Exit({.code = 0, .signal = 0});
  f.loop.RunPending();
  EXPECT_EQ(f.launcher.children().size(), 2u);
}

}  // namespace
}  // namespace fallow
