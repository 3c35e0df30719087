#include "agent/daemon/owner_watch.h"

#include <algorithm>
#include <utility>

#include "agent/daemon/policy/local_time.h"
#include "platform/local_socket.h"
#include "platform/paths.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// Input that a helper told longer ago is not what a decision follows from.
constexpr milliseconds kInputStaysNews{500};

// Where helpers of every login find the daemon of the whole system.
constexpr const char* kSystemSessionSocket = "/run/fallow/session.sock";

constexpr std::size_t kInputDevices = 1;  // their source's place

std::vector<SourceSet<PresenceSource>::Kind> PresenceKinds(Loop& loop, bool whole_system,
                                                           SeenElsewhere seen) {
  const auto absent = [](const char* name, PresenceKind kind) {
    return PresenceReading{
        .source = name, .known = false, .idle_for = {}, .detail = "", .kind = kind};
  };
  // In the order of their places. A helper speaks for its own login: of a whole machine, without
  // logind, nobody tells which others there are, nor on one that had it.
  return {
      {.absent = absent("logind", whole_system ? PresenceKind::kDistrusted : PresenceKind::kInput),
       .open = [&loop, seen] { return NewLogindPresenceSource(loop, seen); },
       .lost = absent("logind", PresenceKind::kDistrusted)},
      {.absent = absent("input devices", PresenceKind::kInput),
       .open = [&loop] { return NewEvdevPresenceSource(loop, {}); }}};
}

std::vector<SourceSet<SessionSignalSource>::Kind> SignalKinds(Loop& loop) {
  return {{.absent = {.kind = SessionSignalKind::kIdleInhibitor,
                      .source = "logind",
                      .known = false,
                      .active = false,
                      .detail = ""},
           .open = [&loop] { return NewLogindInhibitorSource(loop); }}};
}

MachineSenses::Sensors MachineSensors(const Clock& clock) {
  return {.power = NewPowerSensor(),
          .thermal = NewThermalSensor(clock),
          .gpu = NewGpuLoadSensor(clock),
          .cpu = NewCpuLoadSensor(),
          .programs = [] { return RunningPrograms(); }};
}

MachineSenses::Services MachineServices(Loop& loop) {
  return {.power_profile = NewPowerProfileSensor(loop), .network = NewNetworkCostSensor(loop)};
}

}  // namespace

OwnerWatch::OwnerWatch(Loop& loop, const Clock& clock, Random& random, SubprocessLauncher& launcher,
                       OwnerWatchOptions options, Work work)
    : loop_(loop),
      clock_(clock),
      random_(random),
      launcher_(launcher),
      options_(std::move(options)),
      work_(std::move(work)),
      settings_(loop, options_.settings_path, options_.overrides,
                [this] {
                  work_.on_settings();
                  KeepHelper();
                  overseer_.Look();
                }),
      desk_(loop, clock, {}, [this] { overseer_.Look(); }),
      presence_(clock, PresenceKinds(
                           loop, options_.whole_system,
                           [this](const std::string& session, std::int64_t user, LoginKind kind) {
                             return (kind == LoginKind::kLoginScreen && input_devices_tell_) ||
                                    SeenByAHelper(session, user, kind);
                           })),
      input_(loop, presence_, [this] { overseer_.Look(); }),
      signals_(clock, SignalKinds(loop)),
      machine_(loop, clock, MachineSensors(clock), MachineServices(loop),
               [this] { overseer_.Look(); }),
      log_files_(NewPolicyLogFiles(options_.folder.path())),
      log_(*log_files_),
      life_(clock, log_, options_.folder.life_sign_paths()),
      overseer_(loop,
                [this] {
                  return OwnersWord{settings_.settings(), settings_.trouble()};
                },
                machine_, log_,
                {.tell_presence =
                     [this](Signals& signals) {
                       life_.Look();
                       sleep_.Look();
                       TellPresence(signals);
                       work_.add_notices(signals.notices);
                     },
                 .own_processes = work_.own_processes,
                 .holds_memory = work_.holds_memory,
                 .watch_closely = [this](bool closely) { WatchClosely(closely); },
                 .act = [this](const Decision& decision) { Act(decision); },
                 .now = [this] { return MomentNow(clock_); }}),
      sleep_(loop, clock, [&loop] { return NewSleepWatch(loop); },
             {.on_sleep =
                  [this](std::function<void()> ready) {
                    overseer_.Suspend(true);
                    work_.give_all_back(std::move(ready));
                  },
              .on_wake = [this] { overseer_.Suspend(false); }}) {}

OwnerWatch::~OwnerWatch() = default;

Status OwnerWatch::Start() {
  const std::string socket =
      options_.whole_system ? kSystemSessionSocket : options_.folder.session_socket_path();
  auto listener = ListenLocal(
      loop_, socket, options_.whole_system ? LocalCallers::kAnyUser : LocalCallers::kSameUser,
      [this](std::unique_ptr<ByteStream> stream, LocalPeer peer) {
        desk_.Accept(std::move(stream), peer.user_id, peer.process_id);
      });
  if (!listener) return Wrap(listener.error(), "session helpers cannot report");
  helpers_ = *std::move(listener);
  KeepHelper();
  // A user without a folder in memory has signs of life nowhere.
  if (!options_.whole_system && RuntimeDirectory() != StateDirectory())
    (void)MakePrivateDirectory(RuntimeDirectory());
  life_.Begin();
  pause_ = options_.folder.LoadPause();
  TellPause();
  return {};
}

void OwnerWatch::KeepHelper() {
  if (helpers_ == nullptr || options_.whole_system) return;
  if (settings().presence.dedicated) {
    if (helper_ && helper_->process_id()) desk_.Dismiss(*helper_->process_id());
    helper_.reset();
  } else if (!helper_) {
    std::vector<std::string> command = options_.helper_command;
    command.insert(command.end(),
                   {"--with-parent", "--socket", options_.folder.session_socket_path()});
    helper_.emplace(loop_, random_, launcher_, std::move(command));
  }
}

void OwnerWatch::End() {
  overseer_.End();
  life_.End();
}

Result<Status> OwnerWatch::Pause(Caller caller, std::optional<milliseconds> duration) {
  ForgetOldPause();
  const WallTime until = duration ? clock_.Wall() + *duration : kPausedWithoutEnd;
  FALLOW_RETURN_IF_ERROR(pause_.Pause(caller, until, MomentNow(clock_)));
  return KeepAndTellPause();
}

Result<Status> OwnerWatch::Resume(Caller caller) {
  ForgetOldPause();
  const Status resumed = pause_.Resume(caller, MomentNow(clock_));
  Status kept = KeepAndTellPause();
  if (!resumed) return std::unexpected(resumed.error());
  return kept;
}

bool OwnerWatch::is_paused() const {
  const auto& reasons = overseer_.entry().decision.reasons;
  return std::ranges::find(reasons, Reason::kPausedByOwner, &ReasonText::reason) != reasons.end();
}

void OwnerWatch::ForgetOldPause() {
  if (!is_paused()) pause_ = {};
}

Status OwnerWatch::KeepAndTellPause() {
  Status kept = options_.folder.SavePause(pause_);
  TellPause();
  return kept;
}

void OwnerWatch::TellPause() {
  // A user's own agent has one master, who may do everything.
  overseer_.PauseUntil(pause_.until(), options_.whole_system ? pause_.by_master : std::nullopt);
}

void OwnerWatch::TellPresence(Signals& signals) {
  if (settings().presence.dedicated) return;
  signals.presence = desk_.presence();
  signals.session = desk_.signals();
  std::vector<PresenceReading> readings = presence_.Read();
  input_devices_tell_ = readings.at(kInputDevices).known;
  for (PresenceReading& reading : readings) signals.presence.push_back(std::move(reading));
  for (SessionSignal& signal : signals_.Read()) signals.session.push_back(std::move(signal));
  for (const SessionDesk::HelperView& helper : desk_.helpers()) {
    if (!helper.trouble.empty()) signals.notices.push_back(helper.trouble);
  }
  if (helper_ && !helper_->process_id() && !helper_->trouble().empty())
    signals.notices.push_back(helper_->trouble());
}

bool OwnerWatch::SeenByAHelper(const std::string& session, std::int64_t user_id,
                               LoginKind kind) const {
  return std::ranges::any_of(desk_.helpers(), [&](const SessionDesk::HelperView& helper) {
    return helper.SeesInputOf(session, user_id, kind);
  });
}

void OwnerWatch::WatchClosely(bool closely) {
  // On a dedicated machine input changes nothing.
  closely = closely && !settings().presence.dedicated;
  desk_.WatchClosely(closely);
  input_.Watch(closely);
}

void OwnerWatch::Act(const Decision& decision) {
  const SteadyTime now = clock_.Steady();
  const auto input = desk_.last_input();
  const bool by_input = input && *input <= now && now - *input <= kInputStaysNews;
  work_.act(decision, by_input ? *input : now);
}

}  // namespace fallow
