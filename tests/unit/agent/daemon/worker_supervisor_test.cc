// A worker that starts, works, crashes and lies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/supervisor_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Fixture = SupervisorFixture;

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
  f.Says(WorkerFailure{{ErrorCode::kInvalidArgument, "not\na GGUF file"}});
  EXPECT_THAT(f.events, ElementsAre("model failed: not?a GGUF file"));
  EXPECT_TRUE(f.worker.ready());
}

TEST(WorkerSupervisor, RestartsAfterACrashWithGrowingDelays) {
  Fixture f;
  f.worker.Start();
  std::vector<std::chrono::milliseconds> delays;
  for (int i = 0; i < 4; ++i) {
    f.child().ErrorLine("vkCreateDevice failed\x1b[2J");
    f.child().Exit({.code = 1, .signal = 0});
    f.loop.RunPending();
    const auto delay = f.loop.UntilNextTimer();
    ASSERT_TRUE(delay.has_value());
    delays.push_back(*delay);
    f.loop.Advance(*delay);
    ASSERT_EQ(f.launcher.children().size(), static_cast<std::size_t>(i) + 2);
  }
  EXPECT_THAT(f.events.front(),
              HasSubstr("exited with code 1 (its last words: vkCreateDevice failed?[2J)"));
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
