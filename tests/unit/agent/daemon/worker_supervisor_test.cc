#include "agent/daemon/worker_supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_subprocess.h"
#include "platform/fake/seeded_random.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  SeededRandom random;
  FakeSubprocessLauncher launcher;
  std::vector<Haste> hastes;
  Status haste_answer;
  WorkerSupervisorOptions options{.command = {"fallow-worker", "--backend", "cpu"},
                                  .set_haste = [this](std::int64_t, Haste haste) {
                                    hastes.push_back(haste);
                                    return haste_answer;
                                  }};
  WorkerSupervisor worker{loop, clock, random, launcher, options};
  std::vector<std::string> events;

  Fixture() {
    worker.SetEvents(
        {.on_ready =
             [this](const WorkerReady&, bool model_loaded) {
               events.push_back(model_loaded ? "ready with its model" : "ready");
             },
         .on_model_ready = [this](const ModelReady&) { events.push_back("model ready"); },
         .on_model_failed =
             [this](const Error& e) { events.push_back("model failed: " + e.message); },
         .on_finished =
             [this](RequestFinished r) {
               events.push_back("finished " + std::to_string(r.result.request_index));
             },
         .on_progress = [this](const WorkProgress&) { events.push_back("progress"); },
         .on_lost = [this](const Error& e) { events.push_back("lost: " + e.message); }});
  }

  FakeChild& child() { return launcher.last(); }
  void Says(const FromWorker& message) {
    child().Output(EncodeFrame(message));
    loop.RunPending();
  }
  void BecomeReady() {
    worker.Start();
    Says(WorkerReady{.processor = "p"});
    events.clear();
  }
  void LoadsModel() {
    worker.Send(LoadModel{"m"});
    Says(ModelReady{"m", 512, 32});
    events.clear();
  }
  void Park() {
    BecomeReady();
    worker.Stop({.keep_memory = true});
    Says(Stopped{});
    ASSERT_TRUE(worker.parked());
  }
  void Work(std::uint64_t ticket, std::size_t count) {
    RunRequests run{.ticket = ticket, .requests = {}};
    for (std::size_t i = 0; i < count; ++i)
      run.requests.push_back({.index = i, .messages = {{"user", "x"}}, .stop = {}});
    worker.Send(run);
  }
  // What the child was told, as message indices of ToWorker.
  std::vector<std::size_t> Told() {
    std::vector<std::size_t> told;
    FrameReader frames(kMaxWorkerFrameBytes);
    frames.Feed(child().input);
    while (true) {
      const auto payload = frames.Next();
      if (!payload || !*payload) return told;
      told.push_back(DecodeToWorker(**payload)->index());
    }
  }
};

FromWorker Finished(std::uint64_t ticket, std::uint64_t index) {
  RequestFinished finished{.ticket = ticket, .result = {}};
  finished.result.request_index = index;
  return finished;
}

constexpr std::size_t kStopWorkIndex = 3;
constexpr std::size_t kSetPaceIndex = 4;

TEST(WorkerSupervisor, LaunchesOnceAndPassesOnWhatTheWorkerSays) {
  Fixture f;
  f.worker.Start();
  f.worker.Start();
  ASSERT_EQ(f.launcher.children().size(), 1u);
  EXPECT_EQ(f.child().options.arguments, f.options.command);
  EXPECT_FALSE(f.worker.ready());
  f.Says(WorkerReady{});
  EXPECT_TRUE(f.worker.ready());
  f.worker.Send(LoadModel{"m"});
  f.Says(ModelReady{"m", 512, 32});
  f.Work(1, 2);
  f.Says(Finished(1, 0));
  f.Says(ProgressReport{});
  EXPECT_THAT(f.events, ElementsAre("ready", "model ready", "finished 0", "progress"));
}

TEST(WorkerSupervisor, KeepsOtherProgramsVulkanLayersOutOfTheWorker) {
  Fixture f;
  f.worker.Start();
  EXPECT_THAT(f.child().options.environment, ElementsAre("VK_LOADER_LAYERS_DISABLE=~implicit~"));
}

TEST(WorkerSupervisor, AModelThatDoesNotLoadIsNotTheWorkersEnd) {
  Fixture f;
  f.BecomeReady();
  f.worker.Send(LoadModel{"m"});
  f.Says(WorkerFailure{{ErrorCode::kInvalidArgument, "not a GGUF file"}});
  EXPECT_THAT(f.events, ElementsAre("model failed: not a GGUF file"));
  EXPECT_TRUE(f.worker.ready());
}

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

TEST(WorkerSupervisor, RestartsAfterACrashWithGrowingDelays) {
  Fixture f;
  f.worker.Start();
  std::vector<std::chrono::milliseconds> delays;
  for (int i = 0; i < 4; ++i) {
    f.child().ErrorLine("vkCreateDevice failed");
    f.child().Exit({.code = 1, .signal = 0});
    f.loop.RunPending();
    const auto delay = f.loop.UntilNextTimer();
    ASSERT_TRUE(delay.has_value());
    delays.push_back(*delay);
    f.loop.Advance(*delay);
    ASSERT_EQ(f.launcher.children().size(), static_cast<std::size_t>(i) + 2);
  }
  EXPECT_THAT(f.events.front(),
              HasSubstr("exited with code 1 (its last words: vkCreateDevice failed)"));
  EXPECT_LE(delays[0], 1000ms);
  EXPECT_GE(delays[3], 4000ms);
  EXPECT_EQ(f.worker.losses_in_a_row(), 4);
}

TEST(WorkerSupervisor, ARequestFinishedForgivesEarlierLosses) {
  Fixture f;
  f.worker.Start();
  f.child().Exit({.code = 1, .signal = 0});
  f.loop.Advance(2s);
  f.Says(WorkerReady{});
  f.Work(1, 1);
  f.Says(Finished(1, 0));
  EXPECT_EQ(f.worker.losses_in_a_row(), 0);
  EXPECT_EQ(f.worker.loss_count(), 1);
}

TEST(WorkerSupervisor, KillsAWorkerThatMakesNoProgress) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 2);
  f.loop.Advance(f.options.progress_patience - 1ms);
  f.Says(Finished(1, 0));
  f.loop.Advance(f.options.progress_patience - 1ms);
  f.Says(ProgressReport{{.generated_token_count = 5}});
  f.loop.Advance(f.options.progress_patience - 1ms);
  f.Says(ProgressReport{{.generated_token_count = 5}});  // says something, does nothing
  EXPECT_FALSE(f.child().killed);
  f.loop.Advance(1ms);
  EXPECT_TRUE(f.child().killed);
  EXPECT_THAT(f.events.back(), HasSubstr("did not make progress within 300 s"));
}

TEST(WorkerSupervisor, AnIdleWorkerMayBeSilent) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 1);
  f.Says(Finished(1, 0));
  f.Work(2, 5);
  f.worker.Send(DropTicket{2});
  f.loop.Advance(1h);
  EXPECT_FALSE(f.child().killed);
}

TEST(WorkerSupervisor, KillsAWorkerThatNeverBecomesReadyOrNeverLoads) {
  Fixture f;
  f.worker.Start();
  f.loop.Advance(f.options.start_patience);
  EXPECT_TRUE(f.child().killed);
  f.loop.Advance(5s);
  f.Says(WorkerReady{});
  f.worker.Send(LoadModel{"m"});
  f.loop.Advance(f.options.load_patience);
  EXPECT_TRUE(f.child().killed);
}

// Kernels run foreign code: a worker gone wrong may say anything.
TEST(WorkerSupervisor, KillsAWorkerThatBreaksTheProtocol) {
  const auto crime = [](const Bytes& bytes, bool ready) {
    Fixture f;
    if (ready) {
      f.BecomeReady();
    } else {
      f.worker.Start();
    }
    f.child().Output(bytes);
    f.loop.RunPending();
    EXPECT_TRUE(f.child().killed);
    EXPECT_EQ(f.events.size(), 1u);
    return f.events.empty() ? "" : f.events.back();
  };
  EXPECT_THAT(crime({0xFF, 0xFF, 0xFF, 0xFF}, true), HasSubstr("payload of 4294967295 bytes"));
  EXPECT_THAT(crime({2, 0, 0, 0, 0xFF, 0xFF}, true), HasSubstr("not a protobuf message"));
  EXPECT_THAT(crime(EncodeFrame(FromWorker(WorkerReady{})), true), HasSubstr("ready out of turn"));
  EXPECT_THAT(crime(EncodeFrame(FromWorker(ModelReady{})), true),
              HasSubstr("model ready out of turn"));
  EXPECT_THAT(crime(EncodeFrame(FromWorker(Stopped{})), true), HasSubstr("stopped out of turn"));
  EXPECT_THAT(crime(EncodeFrame(FromWorker(ProgressReport{})), false),
              HasSubstr("before being ready"));
  EXPECT_THAT(
      crime(EncodeFrame(FromWorker(WorkerFailure{{ErrorCode::kDataLoss, "device lost"}})), true),
      HasSubstr("device lost"));
}

TEST(WorkerSupervisor, NothingOfALostWorkerIsDelivered) {
  Fixture f;
  f.BecomeReady();
  f.worker.Accuse({ErrorCode::kDataLoss, "a lie"});
  EXPECT_TRUE(f.child().killed);
  f.Says(WorkerReady{});
  f.loop.RunPending();
  EXPECT_THAT(f.events, ElementsAre("lost: a lie"));
}

TEST(WorkerSupervisor, AMissingProgramIsALossLikeAnother) {
  Fixture f;
  f.launcher.launch_error = Error{ErrorCode::kNotFound, "no such program: fallow-worker"};
  f.worker.Start();
  EXPECT_THAT(f.events, ElementsAre("lost: no such program: fallow-worker"));
  f.launcher.launch_error.reset();
  f.loop.Advance(1s);
  EXPECT_EQ(f.launcher.children().size(), 1u);
}

}  // namespace
}  // namespace fallow
