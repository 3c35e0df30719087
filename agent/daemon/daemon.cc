#include "agent/daemon/daemon.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/daemon/artifact_cache.h"
#include "agent/daemon/coordinator_client.h"
#include "agent/daemon/owner_calls.h"
#include "agent/daemon/owner_watch.h"
#include "agent/daemon/paced_http_client.h"
#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/policy_history.h"
#include "agent/daemon/status_report.h"
#include "agent/daemon/work_session.h"
#include "agent/daemon/worker_arguments.h"
#include "agent/daemon/worker_supervisor.h"
#include "base/log.h"
#include "platform/background.h"
#include "platform/keystore.h"
#include "platform/local_socket.h"
#include "platform/process_end.h"
#include "platform/seats.h"
#include "platform/system.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// SIGTERM: how long results and releases may take; systemd and people wait a little longer.
constexpr milliseconds kShutdownPatience{5'000};
// After that: for threads that may not come back.
constexpr milliseconds kEndPatience{1'000};
// Before sleep: less than logind waits.
constexpr milliseconds kSleepPatience{3'000};
constexpr milliseconds kReleasePeriod{50};
// So long `why` tells for which settings the worker was started anew.
constexpr milliseconds kChangeIsNews{60'000};

// What the coordinator and the owner are shown.
DeviceState StateOf(const Decision& decision) {
  if (decision.reasons.empty()) return DeviceState::kPaused;
  switch (decision.reasons.front().reason) {
    case Reason::kSuspending:
    case Reason::kPausedByOwner:
    case Reason::kSchedule:
    case Reason::kBattery:
    case Reason::kPowerSaver:
    case Reason::kMeteredNetwork:
    case Reason::kSensorLost:
    case Reason::kTemperature:
    case Reason::kPowerLimit:
    case Reason::kQuietLevel:
    case Reason::kSettling:
      return DeviceState::kPaused;
    default:
      return DeviceState::kInUse;
  }
}

bool IsByOwner(const Decision& decision) {
  return !decision.reasons.empty() && decision.reasons.front().reason == Reason::kPausedByOwner;
}

std::optional<YieldFigures> FiguresOf(const YieldStats::Summary& yields) {
  if (yields.count == 0) return std::nullopt;
  return YieldFigures{.count = yields.count,
                      .p50_ms = std::min(yields.p50_ms, kMaxYieldMs),
                      .p99_ms = std::min(yields.p99_ms, kMaxYieldMs)};
}

class Daemon {
 public:
  static Result<std::unique_ptr<Daemon>> Create(const DaemonOptions& options);
  Status Run();

 private:
  Daemon(const DaemonOptions& options, Membership membership, std::unique_ptr<SigningKey> key);

  Status Open();
  Status ServeCalls();
  DeviceProfile Profile() const;
  void Act(const Decision& decision, SteadyTime noticed_at);
  void FollowSettings();
  void AddNotices(std::vector<std::string>& notices) const;
  std::vector<std::int64_t> OwnProcesses() const;
  void GiveAllBack(std::function<void()> done);
  OwnerCallHandlers Handlers(Caller caller);
  std::string ResumeAnswer(Caller caller);
  std::string CommandAnswer(const Result<Status>& done, Caller caller) const;
  std::string StatusAnswer() const;
  std::string WhyAnswer();
  std::string LogAnswer() const;
  void ShutDown();

  const DaemonOptions options_;
  const StateFolder folder_;
  const Membership membership_;
  const std::unique_ptr<SigningKey> key_;
  const std::unique_ptr<Clock> clock_ = NewSystemClock();
  const std::unique_ptr<Random> random_ = NewSystemRandom();
  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  const RequestSigner signer_;
  std::unique_ptr<PacedHttpClient> http_;
  std::unique_ptr<SubprocessLauncher> launcher_;
  std::unique_ptr<CoordinatorClient> client_;
  std::unique_ptr<ArtifactCache> cache_;
  std::unique_ptr<OwnerWatch> owner_;
  std::unique_ptr<WorkerSupervisor> worker_;
  std::unique_ptr<WorkSession> session_;
  std::vector<std::string> only_gpus_;
  std::vector<std::string> worker_arguments_;
  std::optional<Settings> worker_settings_;  // that those were made of
  std::string worker_change_;                // what changed in them last
  SteadyTime worker_changed_at_{};
  bool shutting_down_ = false;
  std::unique_ptr<Timer> sleep_timer_;
  std::unique_ptr<Listener> local_calls_;
  std::unique_ptr<Listener> machine_calls_;  // of an agent for the whole system
};

Result<std::unique_ptr<Daemon>> Daemon::Create(const DaemonOptions& options) {
  const StateFolder folder(options.state_folder);
  FALLOW_ASSIGN_OR_RETURN(Membership membership, folder.LoadMembership());
  FALLOW_ASSIGN_OR_RETURN(auto key, LoadOrMakeSigningKey(folder.key_path()));
  std::unique_ptr<Daemon> daemon(new Daemon(options, std::move(membership), std::move(key)));
  FALLOW_RETURN_IF_ERROR(daemon->Open());
  return daemon;
}

Daemon::Daemon(const DaemonOptions& options, Membership membership, std::unique_ptr<SigningKey> key)
    : options_(options),
      folder_(options.state_folder),
      membership_(std::move(membership)),
      key_(std::move(key)),
      signer_(*key_, *clock_, membership_.coordinator_url, membership_.device) {
  HttpClientOptions http;
  http.authority_pem = membership_.authority_pem;
  http.user_agent = "fallow-agent/" + options_.agent_version;
  http_ = std::make_unique<PacedHttpClient>(NewHttpClient(*loop_, http));
  launcher_ = NewSubprocessLauncher(*loop_);
  client_ = NewCoordinatorClient(*http_, signer_);
}

Status Daemon::Open() {
  // First: a second daemon must not touch the cache.
  FALLOW_RETURN_IF_ERROR(ServeCalls());
  owner_ = std::make_unique<OwnerWatch>(
      *loop_, *clock_, *random_, *launcher_,
      OwnerWatchOptions{.folder = folder_,
                        .settings_path = options_.settings_path,
                        .overrides = options_.overrides,
                        .whole_system = options_.whole_system,
                        .helper_command = {options_.program_folder + "/fallow-session",
                                           "--log-level", options_.log_level}},
      OwnerWatch::Work{
          .act = [this](const Decision& decision, SteadyTime at) { Act(decision, at); },
          .own_processes = [this] { return OwnProcesses(); },
          .holds_memory = [this] { return worker_->process_id().has_value(); },
          .give_all_back = [this](std::function<void()> done) { GiveAllBack(std::move(done)); },
          .on_settings = [this] { FollowSettings(); },
          .add_notices = [this](auto& notices) { AddNotices(notices); }});
  WorkerSupervisorOptions worker;
  worker.command = {options_.program_folder + "/fallow-worker", "--kernel-file",
                    folder_.path() + "/kernels"};
  worker.set_haste = [this](std::int64_t process_id, Haste haste) -> Status {
    // A worker in the foreground gives way to nobody, so it needs no haste, and none taken away.
    if (owner_->settings().presence.dedicated) return {};
    return SetHaste(process_id, haste);
  };
  worker.processor_time = [](std::int64_t process_id) { return ProcessorTime(process_id); };
  worker_ = std::make_unique<WorkerSupervisor>(*loop_, *clock_, *random_, *launcher_, worker);
  FALLOW_ASSIGN_OR_RETURN(
      cache_, ArtifactCache::Open(*loop_, *http_, signer_, *random_, folder_.models_path(), 0));
  const std::vector<LeaseId> left_over = folder_.LoadHeldLeases();
  WorkSessionOptions session;
  session.on_leases_changed = [folder = folder_](const std::vector<LeaseId>& leases) {
    // Without the file the leases of a killed agent expire, which only takes longer.
    if (auto status = folder.SaveHeldLeases(leases); !status)
      LOG_WARN("agent: {}", status.error().message);
  };
  session.yields = [this] { return FiguresOf(worker_->yields().summary()); };
  session_ = std::make_unique<WorkSession>(*loop_, *clock_, *random_, *client_, *cache_, *worker_,
                                           Profile(), std::move(session));
  session_->GiveBack(left_over);
  FollowSettings();
  return {};
}

Status Daemon::ServeCalls() {
  const auto serve = [this](const std::string& path, LocalCallers callers) {
    const auto rank_of = [](const LocalPeer& peer) { return CallerOf(peer, IsAtSeat); };
    return ServeLocalCalls(
        *loop_, path, callers,
        {.answer =
             [this, rank_of](std::string_view call, const LocalPeer& peer) {
               const Caller caller = rank_of(peer);
               return AnswerOwnerCall(call, caller, Handlers(caller));
             },
         .is_known =
             [rank_of](const LocalPeer& peer) { return rank_of(peer) != Caller::kStranger; }});
  };
  FALLOW_ASSIGN_OR_RETURN(local_calls_, serve(folder_.socket_path(), LocalCallers::kSameUser));
  if (!options_.whole_system) return {};
  auto calls = serve(kMachineAgentSocket, LocalCallers::kAnyUser);
  if (!calls) return Wrap(calls.error(), "whoever sits at this machine cannot call");
  machine_calls_ = *std::move(calls);
  return {};
}

DeviceProfile Daemon::Profile() const {
  return {.hostname = HostName(),
          .operating_system = OperatingSystemName(),
          .agent_version = options_.agent_version,
          .backend = BackendKind::kUnknown,
          .processor = "",
          .driver = "",
          .memory_bytes = PhysicalMemoryBytes()};
}

Status Daemon::Run() {
  LOG_INFO("agent: device={} coordinator={} state={}", membership_.device.value,
           membership_.coordinator_url, folder_.path());
  loop_->OnTerminate([this] { ShutDown(); });
  FALLOW_RETURN_IF_ERROR(owner_->Start());
  loop_->Run();
  return {};
}

void Daemon::Act(const Decision& decision, SteadyTime noticed_at) {
  if (decision.action == Action::kPause) {
    const DeviceState state = StateOf(decision);
    StopOptions stop{.keep_memory = decision.keep_memory, .input_at = std::nullopt};
    // How fast an owner gets the machine is measured where an owner wants it.
    if (state == DeviceState::kInUse || IsByOwner(decision)) stop.input_at = noticed_at;
    session_->Stop(state, decision.text, stop);
    worker_->LookAtRest();
    // Next to nothing is to do until the next look: what that needs comes back by itself.
    loop_->Post([] { TrimResidentMemory(); });
    return;
  }
  if (decision.only_gpus != only_gpus_) {
    only_gpus_ = decision.only_gpus;
    // Another GPU is another worker: this one gives its GPU back first.
    session_->Stop(DeviceState::kInUse, decision.text,
                   {.keep_memory = false, .input_at = noticed_at});
    FollowSettings();
  }
  worker_->SetShare(decision.share);
  session_->Run(decision.text);
}

void Daemon::FollowSettings() {
  const Settings& settings = owner_->settings();
  http_->SetRates({.receive_bytes_s = settings.limits.download_kib_s * 1024,
                   .send_bytes_s = settings.limits.upload_kib_s * 1024});
  cache_->SetMaxBytes(static_cast<std::uint64_t>(settings.limits.disk_gib * (1u << 30)));
  auto arguments = WorkerArguments(options_.log_level, settings, only_gpus_);
  if (arguments == worker_arguments_) return;
  worker_arguments_ = std::move(arguments);
  worker_->SetMoreArguments(worker_arguments_);
  const auto before = std::exchange(worker_settings_, settings);
  if (!before) return;
  if (std::string change = WorkerChangeText(*before, settings); !change.empty()) {
    worker_change_ = std::move(change);
    worker_changed_at_ = clock_->Steady();
    LOG_INFO("agent: {}", worker_change_);
  }
  // One that runs was started otherwise; the next decision starts another.
  session_->Stop(DeviceState::kPaused, "the settings of the worker changed");
}

void Daemon::AddNotices(std::vector<std::string>& notices) const {
  if (!worker_change_.empty() && clock_->Steady() - worker_changed_at_ < kChangeIsNews)
    notices.push_back(worker_change_);
}

std::vector<std::int64_t> Daemon::OwnProcesses() const {
  std::vector<std::int64_t> own = {ProcessId()};
  if (const auto worker = worker_->process_id()) own.push_back(*worker);
  return own;
}

void Daemon::GiveAllBack(std::function<void()> done) {
  // The policy has stopped the session by now: what is left are its releases on their way, and a
  // worker that drains and leaves.
  const SteadyTime deadline = clock_->Steady() + kSleepPatience;
  sleep_timer_ = loop_->Every(kReleasePeriod, [this, deadline, done = std::move(done)] {
    const bool given_back = session_->leases().empty() && !worker_->process_id();
    if (!given_back && clock_->Steady() < deadline) return;
    // The function goes with its timer.
    const std::function<void()> call = done;
    sleep_timer_.reset();
    call();
  });
}

OwnerCallHandlers Daemon::Handlers(Caller caller) {
  return {.status = [this] { return StatusAnswer(); },
          .why = [this] { return WhyAnswer(); },
          .log = [this] { return LogAnswer(); },
          .pause =
              [this, caller](std::optional<milliseconds> duration) {
                return CommandAnswer(owner_->Pause(caller, duration), caller);
              },
          .resume = [this, caller] { return ResumeAnswer(caller); },
          .stop =
              [this] {
                loop_->Post([this] { ShutDown(); });
                return std::string("{}\n");
              }};
}

std::string Daemon::ResumeAnswer(Caller caller) {
  const bool was_paused = owner_->is_paused();
  const Result<Status> done = owner_->Resume(caller);
  if (done && !was_paused) return DoneAnswer(*done, "it was not paused");
  return CommandAnswer(done, caller);
}

std::string Daemon::CommandAnswer(const Result<Status>& done, Caller caller) const {
  if (!done) return ErrorAnswer(done.error().message);
  return DoneAnswer(*done, owner_->pause().NoteFor(caller, MomentNow(*clock_)));
}

std::string Daemon::WhyAnswer() {
  owner_->overseer().Look();
  return EntryText(owner_->overseer().entry());
}

std::string Daemon::LogAnswer() const {
  const auto files = NewPolicyLogFiles(folder_.path());
  auto text = ReadPolicyLog(*files);
  return text ? *std::move(text) : ErrorAnswer(text.error().message);
}

std::string Daemon::StatusAnswer() const {
  StatusReport report{.status = session_->status(),
                      .profile = session_->profile(),
                      .device = membership_.device,
                      .coordinator_url = membership_.coordinator_url};
  if (!session_->last_contact())
    report.coordinator_trouble = session_->last_contact().error().message;
  if (const auto success = session_->last_success()) {
    report.coordinator_heard_ago =
        std::chrono::duration_cast<std::chrono::seconds>(clock_->Steady() - *success);
  }
  report.decided = owner_->overseer().entry();
  report.helpers = owner_->helpers();
  report.settings_path = owner_->settings_source().path();
  report.whole_system = options_.whole_system;
  report.leases = session_->leases();
  report.finished_request_count = session_->finished_request_count();
  report.generated_token_count = session_->generated_token_count();
  report.worker_state = worker_->state_name();
  report.worker_process_id = worker_->process_id();
  report.worker_loss_count = worker_->loss_count();
  report.worker_trouble = worker_->last_trouble();
  report.yields = worker_->yields().summary();
  report.cache_bytes = cache_->size_bytes();
  report.cache_max_bytes = cache_->max_bytes();
  return StatusJson(report);
}

void Daemon::ShutDown() {
  if (std::exchange(shutting_down_, true)) return;
  LOG_INFO("agent: shutting down");
  owner_->End();
  session_->ShutDown(kShutdownPatience, [this] { loop_->Stop(); });
}

}  // namespace

Status RunDaemon(const DaemonOptions& options) {
  FALLOW_ASSIGN_OR_RETURN(auto daemon, Daemon::Create(options));
  FALLOW_RETURN_IF_ERROR(daemon->Run());
  // The leases are given back, the log and the lists are written. What is left may take for ever: a
  // sensor that hangs, a name that is being looked up, a model that is being read.
  const ProcessEnd end(kEndPatience, EXIT_SUCCESS);
  daemon.reset();
  return {};
}

}  // namespace fallow
