// A worker supervisor whose worker is played by the test.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/worker_supervisor.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_subprocess.h"
#include "platform/fake/seeded_random.h"
#include "protocol/limits.h"

namespace fallow {

struct SupervisorFixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  SeededRandom random;
  FakeSubprocessLauncher launcher;
  std::vector<Haste> hastes;
  Status haste_answer;
  std::optional<std::chrono::milliseconds> processor_time{0};  // of the child
  int processor_time_reads = 0;
  WorkerSupervisorOptions options{.command = {"fallow-worker", "--backend", "cpu"},
                                  .set_haste =
                                      [this](std::int64_t, Haste haste) {
                                        hastes.push_back(haste);
                                        return haste_answer;
                                      },
                                  .processor_time =
                                      [this](std::int64_t) {
                                        ++processor_time_reads;
                                        return processor_time;
                                      }};
  WorkerSupervisor worker{loop, clock, random, launcher, options};
  std::vector<std::string> events;

  SupervisorFixture() {
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

inline FromWorker Finished(std::uint64_t ticket, std::uint64_t index) {
  RequestFinished finished{.ticket = ticket, .result = {}};
  finished.result.request_index = index;
  return finished;
}

inline constexpr std::size_t kStopWorkIndex = 3;
inline constexpr std::size_t kSetPaceIndex = 4;

}  // namespace fallow
