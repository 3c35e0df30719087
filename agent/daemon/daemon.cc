#include "agent/daemon/daemon.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agent/daemon/artifact_cache.h"
#include "agent/daemon/coordinator_client.h"
#include "agent/daemon/status_report.h"
#include "agent/daemon/work_session.h"
#include "agent/daemon/worker_supervisor.h"
#include "base/log.h"
#include "platform/http_client.h"
#include "platform/keystore.h"
#include "platform/local_socket.h"
#include "platform/source_set.h"
#include "platform/system.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// While work runs an owner's first key press is seen within this; otherwise nobody waits for us.
constexpr milliseconds kPresencePeriodWorking{250};
constexpr milliseconds kPresencePeriodStopped{2'000};
// SIGTERM: how long results and releases may take; systemd and people wait a little longer.
constexpr milliseconds kShutdownPatience{5'000};

using PresenceSet = SourceSet<PresenceSource>;

std::vector<PresenceSet::Kind> PresenceKinds(Loop& loop) {
  const char* display = std::getenv("DISPLAY");
  const std::string name = display == nullptr ? "" : display;
  return {{.absent = {.source = name.empty() ? "x11" : "x11 " + name},
           .open = [&loop, name]() -> Result<std::unique_ptr<PresenceSource>> {
             if (name.empty()) return Fail(ErrorCode::kUnavailable, "DISPLAY is not set");
             return NewX11PresenceSource(loop, name);
           }},
          {.absent = {.source = "logind"}, .open = [&loop, name] {
             // With a display of our own, a silent desktop is the X11 source's to judge.
             return NewLogindPresenceSource(
                 loop, [name](const std::string&, std::int64_t) { return !name.empty(); });
           }}};
}

class Daemon {
 public:
  static Result<std::unique_ptr<Daemon>> Create(const DaemonOptions& options);
  Status Run();

 private:
  Daemon(const DaemonOptions& options, Membership membership, std::unique_ptr<SigningKey> key);

  DeviceProfile Profile() const;
  void LookAtPresence();
  std::string Answer(std::string_view call);
  std::string StatusAnswer() const;
  void ShutDown();

  const DaemonOptions options_;
  const StateFolder folder_;
  const Membership membership_;
  const std::unique_ptr<SigningKey> key_;
  const std::unique_ptr<Clock> clock_ = NewSystemClock();
  const std::unique_ptr<Random> random_ = NewSystemRandom();
  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  const RequestSigner signer_;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<SubprocessLauncher> launcher_;
  std::unique_ptr<CoordinatorClient> client_;
  std::unique_ptr<ArtifactCache> cache_;
  std::unique_ptr<WorkerSupervisor> worker_;
  std::unique_ptr<WorkSession> session_;
  PresenceSet presence_;
  std::vector<PresenceReading> readings_;
  bool running_ = false;
  bool shutting_down_ = false;
  std::unique_ptr<Timer> presence_timer_;
  std::unique_ptr<Listener> local_calls_;
};

Result<std::unique_ptr<Daemon>> Daemon::Create(const DaemonOptions& options) {
  const StateFolder folder(options.state_folder);
  FALLOW_ASSIGN_OR_RETURN(Membership membership, folder.LoadMembership());
  FALLOW_ASSIGN_OR_RETURN(auto key, LoadOrMakeSigningKey(folder.key_path()));
  std::unique_ptr<Daemon> daemon(new Daemon(options, std::move(membership), std::move(key)));
  // First: a second daemon must not touch the cache.
  FALLOW_ASSIGN_OR_RETURN(
      daemon->local_calls_,
      ServeLocalCalls(*daemon->loop_, folder.socket_path(),
                      [raw = daemon.get()](std::string_view call) { return raw->Answer(call); }));
  FALLOW_ASSIGN_OR_RETURN(
      daemon->cache_,
      ArtifactCache::Open(*daemon->loop_, *daemon->http_, daemon->signer_, *daemon->random_,
                          folder.models_path(), options.cache_bytes));
  const std::vector<LeaseId> left_over = folder.LoadHeldLeases();
  WorkSessionOptions session;
  session.on_leases_changed = [folder](const std::vector<LeaseId>& leases) {
    // Without the file the leases of a killed agent expire, which only takes longer.
    if (auto status = folder.SaveHeldLeases(leases); !status)
      LOG_WARN("agent: {}", status.error().message);
  };
  daemon->session_ = std::make_unique<WorkSession>(
      *daemon->loop_, *daemon->clock_, *daemon->random_, *daemon->client_, *daemon->cache_,
      *daemon->worker_, daemon->Profile(), std::move(session));
  daemon->session_->GiveBack(left_over);
  return daemon;
}

Daemon::Daemon(const DaemonOptions& options, Membership membership, std::unique_ptr<SigningKey> key)
    : options_(options),
      folder_(options.state_folder),
      membership_(std::move(membership)),
      key_(std::move(key)),
      signer_(*key_, *clock_, membership_.coordinator_url, membership_.device),
      presence_(*clock_,
                options.idle.dedicated ? std::vector<PresenceSet::Kind>{} : PresenceKinds(*loop_)) {
  HttpClientOptions http;
  http.authority_pem = membership_.authority_pem;
  http.user_agent = "fallow-agent/" + options_.agent_version;
  http_ = NewHttpClient(*loop_, http);
  launcher_ = NewSubprocessLauncher(*loop_);
  client_ = NewCoordinatorClient(*http_, signer_);
  WorkerSupervisorOptions worker;
  worker.command = options_.worker_command;
  worker_ = std::make_unique<WorkerSupervisor>(*loop_, *clock_, *random_, *launcher_, worker);
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
  LookAtPresence();
  loop_->Run();
  return {};
}

void Daemon::LookAtPresence() {
  readings_ = presence_.Read();
  const IdleDecision decision = DecideIdle(options_.idle, readings_, running_);
  running_ = decision.run;
  if (decision.run) {
    session_->Run(decision.reason);
  } else {
    session_->Stop(DeviceState::kInUse, decision.reason);
  }
  presence_timer_ = loop_->After(
      running_ && !options_.idle.dedicated ? kPresencePeriodWorking : kPresencePeriodStopped,
      [this] { LookAtPresence(); });
}

std::string Daemon::Answer(std::string_view call) {
  const auto json = nlohmann::json::parse(call, nullptr, /*allow_exceptions=*/false);
  const bool has_name = json.is_object() && json.contains("call") && json["call"].is_string();
  const std::string name = has_name ? json["call"].get<std::string>() : "";
  if (name == "status" && session_ != nullptr) return StatusAnswer();
  if (name == "stop" && session_ != nullptr) {
    loop_->Post([this] { ShutDown(); });
    return "{}\n";
  }
  return R"({"error": "an unknown call"})";
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
  report.idle_rule = options_.idle.dedicated ? "dedicated: always free"
                                             : fmt::format("free after {} without input",
                                                           ShortDuration(options_.idle.idle_after));
  report.presence = readings_;
  report.leases = session_->leases();
  report.finished_request_count = session_->finished_request_count();
  report.generated_token_count = session_->generated_token_count();
  report.worker_state = worker_->state_name();
  report.worker_process_id = worker_->process_id();
  report.worker_loss_count = worker_->loss_count();
  report.worker_trouble = worker_->last_trouble();
  report.last_stop_latency = worker_->last_stop_latency();
  report.cache_bytes = cache_->size_bytes();
  report.cache_max_bytes = cache_->max_bytes();
  return StatusJson(report);
}

void Daemon::ShutDown() {
  if (std::exchange(shutting_down_, true)) return;
  LOG_INFO("agent: shutting down");
  presence_timer_.reset();
  session_->ShutDown(kShutdownPatience, [this] { loop_->Stop(); });
}

}  // namespace

Status RunDaemon(const DaemonOptions& options) {
  FALLOW_ASSIGN_OR_RETURN(const auto daemon, Daemon::Create(options));
  return daemon->Run();
}

}  // namespace fallow
