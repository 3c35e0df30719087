// The worker process: started, spoken to, watched, stopped within a bound, started anew after a
// crash.
//
// Invariant: at most one process; what it says out of turn, or not at all, ends it. Nothing of a
// process that has gone is ever delivered. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/backoff.h"
#include "base/clock.h"
#include "platform/loop.h"
#include "platform/subprocess.h"
#include "protocol/worker_messages.h"

namespace fallow {

// What a work session needs of a worker.
class Worker {
 public:
  struct Events {
    std::function<void(const WorkerReady&)> on_ready;
    std::function<void(const ModelReady&)> on_model_ready;
    std::function<void(const Error&)> on_model_failed;  // the worker goes on, without a model
    std::function<void(RequestFinished)> on_finished;
    std::function<void(const WorkProgress&)> on_progress;
    // The process has gone, not at our wish. Everything it was given is lost; it is started anew by
    // itself.
    std::function<void(const Error&)> on_lost;
  };

  virtual ~Worker() = default;
  virtual void SetEvents(Events events) = 0;       // before Start
  virtual void Start() = 0;                        // wants it running; no effect if it is
  virtual bool ready() const = 0;                  // from on_ready until it is stopped or lost
  virtual void Send(const ToWorker& message) = 0;  // when ready
  // Kills it for breaking the protocol; on_lost follows.
  virtual void Accuse(const Error& crime) = 0;
  // Wants it gone: StopWork, the end of its input, SIGKILL if it does not answer in time. on_lost
  // does not follow.
  virtual void Stop() = 0;
};

struct WorkerSupervisorOptions {
  std::vector<std::string> command;  // the program's path, then its arguments
  std::chrono::milliseconds stop_patience{
      100};  // from StopWork to SIGKILL: what an owner does not feel
  std::chrono::milliseconds exit_patience{1'000};    // from the end of its input to SIGKILL
  std::chrono::milliseconds start_patience{60'000};  // drivers compile shaders at their first start
  std::chrono::milliseconds load_patience{600'000};  // a large model from a slow disk
  std::chrono::milliseconds progress_patience{
      120'000};  // with work in hand; a slow device computes a step in less
  std::chrono::milliseconds first_restart{1'000};
  std::chrono::milliseconds max_restart{60'000};
};

class WorkerSupervisor : public Worker {
 public:
  // All must outlive it.
  WorkerSupervisor(Loop& loop, const Clock& clock, Random& random, SubprocessLauncher& launcher,
                   WorkerSupervisorOptions options);
  ~WorkerSupervisor() override;

  void SetEvents(Events events) override { events_ = std::move(events); }
  void Start() override;
  bool ready() const override { return state_ == State::kReady; }
  void Send(const ToWorker& message) override;
  void Accuse(const Error& crime) override;
  void Stop() override;

  std::string_view state_name() const;  // "stopped", "starting", "ready", "stopping", "restarting"
  std::optional<std::int64_t> process_id() const;
  int loss_count() const { return loss_count_; }
  int losses_in_a_row() const { return restart_backoff_.tries(); }  // since a request was finished
  // From the wish to stop to the device having no work of ours, of the last stop.
  std::optional<std::chrono::microseconds> last_stop_latency() const { return last_stop_latency_; }
  const std::string& last_trouble() const { return last_trouble_; }

 private:
  enum class State : std::uint8_t { kStopped, kStarting, kReady, kStopping, kRestarting };

  void Launch();
  void OnOutput(ByteView bytes);
  void OnErrorLine(std::string_view line);
  void OnExit(SubprocessExit exit);
  void Handle(FromWorker message);
  void HandleStopped();
  void Lose(const Error& why);
  void Watch(std::chrono::milliseconds patience, std::string what);
  void WatchForProgress();

  Loop& loop_;
  const Clock& clock_;
  WorkerSupervisorOptions options_;
  SubprocessLauncher& launcher_;
  Events events_;
  Backoff restart_backoff_;

  State state_ = State::kStopped;
  bool wanted_ = false;
  bool loading_ = false;
  std::map<std::uint64_t, std::size_t> unfinished_;  // requests in its hands, by ticket
  WorkProgress last_progress_;
  std::unique_ptr<Subprocess> process_;
  std::unique_ptr<Subprocess>
      gone_;  // lost from inside one of its callbacks; destroyed at the next turn
  FrameReader frames_;
  std::unique_ptr<Timer> timer_;  // the patience of the present state
  std::string last_error_line_;
  std::string last_trouble_;
  int loss_count_ = 0;
  SteadyTime stop_asked_at_{};
  std::optional<std::chrono::microseconds> last_stop_latency_;
  // Posted calls look here before they touch the supervisor.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
