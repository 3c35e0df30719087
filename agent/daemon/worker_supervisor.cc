#include "agent/daemon/worker_supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/log_line.h"
#include "base/overloaded.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kMaxErrorLineBytes = 1024;
// Overlays, recorders and the like install themselves into every Vulkan program: foreign code that
// may change results, draws on the owner's time, and has no business in a worker.
constexpr const char* kNoForeignLayers = "VK_LOADER_LAYERS_DISABLE=~implicit~";

std::string DescribeExit(const SubprocessExit& exit, const std::string& last_error_line) {
  std::string text = exit.signal != 0
                         ? fmt::format("the worker was killed by signal {}", exit.signal)
                         : fmt::format("the worker exited with code {}", exit.code);
  if (!last_error_line.empty()) text += fmt::format(" (its last words: {})", last_error_line);
  return text;
}

}  // namespace

WorkerSupervisor::WorkerSupervisor(Loop& loop, const Clock& clock, Random& random,
                                   SubprocessLauncher& launcher, WorkerSupervisorOptions options)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      launcher_(launcher),
      restart_backoff_(random, options_.first_restart, options_.max_restart),
      frames_(kMaxWorkerFrameBytes),
      haste_(loop, options_.set_haste, options_.haste_lasts) {}

WorkerSupervisor::~WorkerSupervisor() = default;

std::string_view WorkerSupervisor::state_name() const {
  switch (state_) {
    case State::kStopped:
      return "stopped";
    case State::kStarting:
      return "starting";
    case State::kReady:
      return "ready";
    case State::kStopping:
      return "stopping";
    case State::kParked:
      return "parked";
    case State::kLeaving:
      return "leaving";
    case State::kRestarting:
      return "restarting";
  }
  FALLOW_UNREACHABLE();
}

std::optional<std::int64_t> WorkerSupervisor::process_id() const {
  if (process_ == nullptr) return std::nullopt;
  return process_->process_id();
}

void WorkerSupervisor::SetMoreArguments(std::vector<std::string> arguments) {
  more_arguments_ = std::move(arguments);
}

std::vector<std::string> WorkerSupervisor::Command() const {
  std::vector<std::string> command = options_.command;
  command.insert(command.end(), more_arguments_.begin(), more_arguments_.end());
  return command;
}

void WorkerSupervisor::SetShare(double share) {
  share_ = std::clamp(share, kMinPaceShare, 1.0);
  if (state_ != State::kReady || told_share_ == share_) return;
  TellShare();
  // At a lower share a step takes longer.
  if (loading_) {
    WatchAtPace(options_.load_patience, "load a model");
  } else if (timer_ != nullptr) {
    WatchForProgress();
  }
}

void WorkerSupervisor::TellShare() {
  if (told_share_ == share_) return;
  told_share_ = share_;
  process_->Write(EncodeFrame(ToWorker(SetPace{share_})));
}

void WorkerSupervisor::Start() {
  wanted_ = true;
  if (state_ == State::kStopped) return Launch();
  if (state_ != State::kParked) return;
  if (command_ == Command()) return Resume();
  Leave();  // and is started anew
}

void WorkerSupervisor::Resume() {
  LOG_INFO("agent: the parked worker goes on");
  state_ = State::kReady;
  TellShare();
  events_.on_ready(*backend_, model_loaded_);
}

void WorkerSupervisor::Launch() {
  frames_ = FrameReader(kMaxWorkerFrameBytes);
  loading_ = model_loaded_ = false;
  told_share_ = 1;
  backend_.reset();
  command_ = Command();
  unfinished_.clear();
  last_progress_ = {};
  last_error_line_.clear();
  SubprocessOptions options;
  options.arguments = command_;
  options.environment = {kNoForeignLayers};
  options.on_output = [this](ByteView bytes) { OnOutput(bytes); };
  options.on_error_line = [this](std::string_view line) { OnErrorLine(line); };
  options.on_exit = [this](SubprocessExit exit) { OnExit(exit); };
  state_ = State::kStarting;
  auto process = launcher_.Launch(std::move(options));
  if (!process) return Lose(process.error());
  process_ = *std::move(process);
  Watch(options_.start_patience, "start");
}

void WorkerSupervisor::Send(const ToWorker& message) {
  FALLOW_CHECK(ready());
  process_->Write(EncodeFrame(message));
  if (std::holds_alternative<LoadModel>(message)) {
    loading_ = true;
    model_loaded_ = false;
    WatchAtPace(options_.load_patience, "load a model");
  } else if (const auto* run = std::get_if<RunRequests>(&message)) {
    if (!run->requests.empty()) unfinished_[run->ticket] += run->requests.size();
    WatchForProgress();
  } else if (const auto* drop = std::get_if<DropTicket>(&message)) {
    unfinished_.erase(drop->ticket);
    WatchForProgress();
  }
}

void WorkerSupervisor::Stop(const StopOptions& options) {
  wanted_ = false;
  switch (state_) {
    case State::kStopped:
    case State::kLeaving:
      return;
    case State::kRestarting:
      timer_.reset();
      state_ = State::kStopped;
      return;
    case State::kStopping:
      stop_.keep_memory = stop_.keep_memory && options.keep_memory;
      return;
    case State::kParked:
      if (!options.keep_memory) Leave();
      return;
    case State::kStarting:
    case State::kReady:
      break;
  }
  const bool starting = state_ == State::kStarting;
  state_ = State::kStopping;
  stop_ = {.asked_at = clock_.Steady(),
           .input_at = options.input_at,
           .was_busy = starting || loading_ || !unfinished_.empty(),
           .keep_memory = options.keep_memory};
  loading_ = false;
  unfinished_.clear();
  haste_.Hurry(process_->process_id());
  if (starting) {
    // It has nothing to lose yet, and a driver that compiles listens to nobody.
    timer_.reset();
    process_->Kill();
    return;
  }
  process_->Write(EncodeFrame(ToWorker(StopWork{})));
  timer_ = loop_.After(options_.stop_patience, [this] {
    LOG_INFO("agent: the worker did not stop within {} ms and is killed",
             options_.stop_patience.count());
    process_->Kill();
  });
}

void WorkerSupervisor::Accuse(const Error& crime) {
  if (state_ == State::kReady || state_ == State::kStarting) Lose(crime);
}

void WorkerSupervisor::OnOutput(ByteView bytes) {
  frames_.Feed(bytes);
  while (process_ != nullptr) {
    const auto payload = frames_.Next();
    if (!payload) return Reject(payload.error());
    if (!*payload) return;
    auto message = DecodeFromWorker(**payload);
    if (!message) return Reject(message.error());
    Handle(*std::move(message));
  }
}

void WorkerSupervisor::OnErrorLine(std::string_view line) {
  last_error_line_ = OneLine(line.substr(0, kMaxErrorLineBytes));
  LOG_INFO("worker says: {}", last_error_line_);
}

void WorkerSupervisor::Handle(FromWorker message) {
  if (state_ == State::kStopping) {
    if (std::holds_alternative<Stopped>(message)) HandleStopped();
    return;  // results of work that is being given back do not count
  }
  if (state_ == State::kLeaving) return;
  const auto out_of_turn = [this](std::string_view what) {
    Reject({ErrorCode::kInvalidArgument, fmt::format("the worker said {} out of turn", what)});
  };
  if (state_ == State::kParked) return out_of_turn("something while it was parked");
  if (std::holds_alternative<WorkerReady>(message) != (state_ == State::kStarting) &&
      !std::holds_alternative<WorkerFailure>(message)) {
    return out_of_turn(state_ == State::kStarting ? "something before being ready" : "ready");
  }
  std::visit(Overloaded{
                 [&](const WorkerReady& ready) {
                   timer_.reset();
                   state_ = State::kReady;
                   backend_ = ready;
                   TellShare();
                   events_.on_ready(ready, model_loaded_);
                 },
                 [&](const ModelReady& ready) {
                   if (!loading_) return out_of_turn("model ready");
                   loading_ = false;
                   model_loaded_ = true;
                   timer_.reset();
                   events_.on_model_ready(ready);
                 },
                 [&](RequestFinished& finished) {
                   // One of a ticket that was dropped meanwhile is on its way rightly; the session
                   // knows tickets.
                   const auto ticket = unfinished_.find(finished.ticket);
                   if (ticket != unfinished_.end() && --ticket->second == 0)
                     unfinished_.erase(ticket);
                   restart_backoff_.Reset();
                   WatchForProgress();
                   events_.on_finished(std::move(finished));
                 },
                 [&](const ProgressReport& report) {
                   const WorkProgress& progress = report.progress;
                   if (progress != last_progress_) WatchForProgress();
                   last_progress_ = progress;
                   events_.on_progress(progress);
                 },
                 [&](const Stopped&) { out_of_turn("stopped"); },
                 [&](const WorkerFailure& failure) {
                   const Error shown{failure.error.code, OneLine(failure.error.message)};
                   if (!loading_) return Lose(shown);
                   loading_ = false;
                   timer_.reset();
                   events_.on_model_failed(shown);
                 },
             },
             message);
}

void WorkerSupervisor::HandleStopped() {
  NoteFreed(stop_.was_busy ? Yield::How::kStopped : Yield::How::kIdle);
  if (!stop_.keep_memory) return Leave();
  timer_.reset();
  state_ = State::kParked;
  haste_.GiveWayLater(process_->process_id());
  if (wanted_) return Start();
  rest_.Begin(clock_.Steady(), ProcessorTimeTaken());
}

RestCheck::ProcessorTime WorkerSupervisor::ProcessorTimeTaken() const {
  if (!options_.processor_time) return std::nullopt;
  return options_.processor_time(process_->process_id());
}

void WorkerSupervisor::LookAtRest() {
  if (state_ != State::kParked) return;
  const auto unrest = rest_.Look(clock_.Steady(), ProcessorTimeTaken());
  if (!unrest) return;
  ++loss_count_;
  last_trouble_ = fmt::format(
      "while parked the worker took {} ms of processor time within {} ms, and one at rest no more "
      "than {} ms, so it was killed",
      unrest->took.count(), unrest->within.count(), unrest->allowed.count());
  LOG_WARN("agent: {}", last_trouble_);
  state_ = State::kLeaving;
  process_->Kill();
}

// The device has no work of ours any more.
void WorkerSupervisor::NoteFreed(Yield::How how) {
  const SteadyTime now = clock_.Steady();
  last_stop_latency_ = now - stop_.asked_at;
  LOG_INFO("agent: the worker {} after {} us",
           how == Yield::How::kKilled ? "was gone" : "had stopped", last_stop_latency_->count());
  if (stop_.input_at) yields_.Add({.input_at = *stop_.input_at, .freed_at = now, .how = how});
}

void WorkerSupervisor::Leave() {
  haste_.Hurry(process_->process_id());
  state_ = State::kLeaving;
  process_->CloseInput();
  timer_ = loop_.After(options_.exit_patience, [this] { process_->Kill(); });
}

void WorkerSupervisor::OnExit(SubprocessExit exit) {
  if (state_ == State::kStarting || state_ == State::kReady) {
    return Lose({ErrorCode::kUnavailable, DescribeExit(exit, last_error_line_)});
  }
  if (state_ == State::kStopping) {
    NoteFreed(stop_.was_busy ? Yield::How::kKilled : Yield::How::kIdle);
  } else if (state_ == State::kParked) {
    LOG_WARN("agent: while parked {}", DescribeExit(exit, last_error_line_));
  }
  timer_.reset();
  haste_.Forget();
  gone_ = std::move(process_);
  state_ = State::kStopped;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    gone_.reset();
    if (wanted_ && state_ == State::kStopped) Launch();
  });
}

// It broke the protocol. While it is stopped its end is awaited as any other.
void WorkerSupervisor::Reject(const Error& crime) {
  if (state_ == State::kStarting || state_ == State::kReady) return Lose(crime);
  LOG_WARN("agent: kills the worker, which is {}: {}", state_name(), crime.message);
  if (state_ == State::kParked) state_ = State::kLeaving;
  process_->Kill();
}

void WorkerSupervisor::Lose(const Error& why) {
  ++loss_count_;
  last_trouble_ = why.message;
  state_ = State::kRestarting;
  const milliseconds delay = restart_backoff_.Next();
  LOG_WARN("agent: lost the worker, next try in {} ms: {}", delay.count(), why.message);
  // We may be inside one of its callbacks: it is killed now and destroyed at the next turn.
  haste_.Forget();
  if (process_ != nullptr) {
    process_->Kill();
    gone_ = std::move(process_);
    loop_.Post([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) gone_.reset();
    });
  }
  timer_ = loop_.After(delay, [this] {
    state_ = State::kStopped;
    if (wanted_) Launch();
  });
  events_.on_lost(why);
}

void WorkerSupervisor::Watch(milliseconds patience, std::string what) {
  timer_ = loop_.After(patience, [this, patience, what = std::move(what)] {
    Lose({ErrorCode::kDeadlineExceeded,
          fmt::format("the worker did not {} within {} s", what, patience.count() / 1000)});
  });
}

void WorkerSupervisor::WatchForProgress() {
  if (loading_) return;
  timer_.reset();
  if (unfinished_.empty()) return;
  WatchAtPace(options_.progress_patience, "make progress");
}

// `patience`: with all of the time.
void WorkerSupervisor::WatchAtPace(milliseconds patience, std::string what) {
  const std::chrono::duration<double, std::milli> whole = patience;
  Watch(std::chrono::ceil<milliseconds>(whole / share_), std::move(what));
}

}  // namespace fallow
