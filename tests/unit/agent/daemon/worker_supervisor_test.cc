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
  WorkerSupervisorOptions options{.command = {"fallow-worker", "--backend", "cpu"}};
  WorkerSupervisor worker{loop, clock, random, launcher, options};
  std::vector<std::string> events;

  Fixture() {
    worker.SetEvents(
        {.on_ready = [this](const WorkerReady&) { events.push_back("ready"); },
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
  f.worker.Stop();
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
  f.worker.Stop();
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
  f.worker.Stop();
  f.Says(Stopped{});
  f.loop.Advance(f.options.exit_patience);
  EXPECT_TRUE(f.child().killed);
}

TEST(WorkerSupervisor, ResultsAfterTheStopDoNotCount) {
  Fixture f;
  f.BecomeReady();
  f.Work(1, 1);
  f.worker.Stop();
  f.Says(Finished(1, 0));
  EXPECT_TRUE(f.events.empty());
}

TEST(WorkerSupervisor, StartsAnewWhenWantedAgainWhileStopping) {
  Fixture f;
  f.BecomeReady();
  f.worker.Stop();
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
  EXPECT_THAT(f.events.back(), HasSubstr("did not make progress within 120 s"));
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
