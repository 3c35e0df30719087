// The worker process: started, spoken to, watched, stopped within a bound, parked or ended, started
// anew after a crash.
//
// The ladder of a stop: StopWork at once, and for as long as it takes an ordinary part of the
// processors, or it could not stop where neighbours take them all; the worker submits nothing more
// and drains at most two slices; SIGKILL if it has not said Stopped in time. Then it is parked, its
// model in memory and nothing to do, or its input ends and it leaves; SIGKILL again if it does not.
// A parked one that does not rest is killed too.
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
#include "agent/daemon/rest_check.h"
#include "agent/daemon/worker_haste.h"
#include "agent/daemon/yield_stats.h"
#include "base/clock.h"
#include "platform/background.h"
#include "platform/loop.h"
#include "platform/subprocess.h"
#include "protocol/worker_messages.h"

namespace fallow {

// How a device is given back.
struct StopOptions {
  // The process stays, with the model in memory and nothing to do: it is parked. Else it ends.
  bool keep_memory = false;
  // The owner's input that wants the device, for the statistics; none if it was no owner.
  std::optional<SteadyTime> input_at;
};

// What a work session needs of a worker.
class Worker {
 public:
  struct Events {
    // `model_loaded`: the model that it last said was ready is still in memory, as after parking.
    std::function<void(const WorkerReady&, bool model_loaded)> on_ready;
    std::function<void(const ModelReady&)> on_model_ready;
    std::function<void(const Error&)> on_model_failed;  // the worker goes on, without a model
    std::function<void(RequestFinished)> on_finished;
    std::function<void(const WorkProgress&)> on_progress;
    // The process has gone, not at our wish. Everything it was given is lost; it is started anew by
    // itself.
    std::function<void(const Error&)> on_lost;
  };

  virtual ~Worker() = default;
  virtual void SetEvents(Events events) = 0;  // before Start
  // Wants it running; no effect if it is. A parked one is ready within the call.
  virtual void Start() = 0;
  virtual bool ready() const = 0;                  // from on_ready until it is stopped or lost
  virtual void Send(const ToWorker& message) = 0;  // when ready
  // Kills it for breaking the protocol; on_lost follows.
  virtual void Accuse(const Error& crime) = 0;
  // Wants it to do nothing, or to be gone; see the ladder. A parked one that is stopped again
  // without keep_memory ends. on_lost does not follow.
  virtual void Stop(const StopOptions& options) = 0;
};

struct WorkerSupervisorOptions {
  std::vector<std::string> command;  // the program's path, then its arguments
  std::chrono::milliseconds stop_patience{
      100};  // from StopWork to SIGKILL: what an owner does not feel
  // From the end of its input to SIGKILL. It has nothing left to do; the kernel frees its memory
  // either way.
  std::chrono::milliseconds exit_patience{250};
  std::chrono::milliseconds start_patience{
      180'000};  // drivers compile shaders at their first start
  // With all of the time: a large model from a slow disk, and its first steps.
  std::chrono::milliseconds load_patience{600'000};
  // With work in hand and all of the time: a slow device computes a step in less, even while its
  // owner's programs take most of it.
  std::chrono::milliseconds progress_patience{300'000};
  // How soon a process that gives way to everybody does as it is told, as SetHaste; null: nothing
  // is done.
  std::function<Status(std::int64_t process_id, Haste haste)> set_haste;
  // From having stopped to giving way again, and to the next try where that is refused; more than
  // the 100 ms below which it is.
  std::chrono::milliseconds haste_lasts{250};
  // What the process took of the processors so far, as ProcessorTime; null: nobody looks whether a
  // parked one rests.
  std::function<std::optional<std::chrono::milliseconds>(std::int64_t process_id)> processor_time;
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
  void Stop(const StopOptions& options) override;

  // For whoever looks at the machine anyway: kills a parked worker that works all the same, beyond
  // what RestCheck allows. It counts as lost, though nothing of a session's is: on_lost does not
  // follow.
  void LookAtRest();
  // How much of the time to compute, at once and until it is set anew; a share outside
  // kMinPaceShare to 1 counts as the nearest inside.
  void SetShare(double share);
  // What follows the program's path and the options' arguments, for processes that are started from
  // now on. A parked one that was started with others is not used again.
  void SetMoreArguments(std::vector<std::string> arguments);

  // "stopped", "starting", "ready", "stopping", "parked", "leaving", "restarting"
  std::string_view state_name() const;
  bool parked() const { return state_ == State::kParked; }
  // Of the process that runs, once it has been ready.
  const std::optional<WorkerReady>& backend() const { return backend_; }
  std::optional<std::int64_t> process_id() const;
  int loss_count() const { return loss_count_; }
  int losses_in_a_row() const { return restart_backoff_.tries(); }  // since a request was finished
  // From the wish to stop to the device having no work of ours, of the last stop.
  std::optional<std::chrono::microseconds> last_stop_latency() const { return last_stop_latency_; }
  const YieldStats& yields() const { return yields_; }
  const std::string& last_trouble() const { return last_trouble_; }

 private:
  enum class State : std::uint8_t {
    kStopped,
    kStarting,
    kReady,
    kStopping,  // told to stop, or killed; the device may still have work of ours
    kParked,
    kLeaving,  // its input has ended
    kRestarting
  };
  // What was going on when it was told to stop.
  struct StopUnderWay {
    SteadyTime asked_at{};
    std::optional<SteadyTime> input_at;
    bool was_busy = false;
    bool keep_memory = false;
  };

  std::vector<std::string> Command() const;
  void Launch();
  void OnOutput(ByteView bytes);
  void OnErrorLine(std::string_view line);
  void OnExit(SubprocessExit exit);
  void Handle(FromWorker message);
  void HandleStopped();
  void Resume();
  void Leave();
  void NoteFreed(Yield::How how);
  void TellShare();
  RestCheck::ProcessorTime ProcessorTimeTaken() const;
  void Reject(const Error& crime);
  void Lose(const Error& why);
  void Watch(std::chrono::milliseconds patience, std::string what);
  void WatchForProgress();
  void WatchAtPace(std::chrono::milliseconds patience, std::string what);

  Loop& loop_;
  const Clock& clock_;
  WorkerSupervisorOptions options_;
  SubprocessLauncher& launcher_;
  Events events_;
  Backoff restart_backoff_;

  State state_ = State::kStopped;
  bool wanted_ = false;
  bool loading_ = false;
  bool model_loaded_ = false;
  double share_ = 1;
  double told_share_ = 1;  // to the process that runs
  std::vector<std::string> more_arguments_;
  std::vector<std::string> command_;                 // of the process that runs
  std::optional<WorkerReady> backend_;               // what it said that it computes on
  std::map<std::uint64_t, std::size_t> unfinished_;  // requests in its hands, by ticket
  WorkProgress last_progress_;
  std::unique_ptr<Subprocess> process_;
  std::unique_ptr<Subprocess>
      gone_;  // lost from inside one of its callbacks; destroyed at the next turn
  FrameReader frames_;
  std::unique_ptr<Timer> timer_;  // the patience of the present state
  WorkerHaste haste_;
  std::string last_error_line_;
  std::string last_trouble_;
  int loss_count_ = 0;
  StopUnderWay stop_;
  RestCheck rest_;  // of the parked process
  std::optional<std::chrono::microseconds> last_stop_latency_;
  YieldStats yields_;
  // Posted calls look here before they touch the supervisor.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
