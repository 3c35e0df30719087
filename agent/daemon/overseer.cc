#include "agent/daemon/overseer.h"

#include <algorithm>
#include <utility>

#include "agent/daemon/policy/policy_rules.h"
#include "base/log.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// The least of what is known; none if nothing tells of presence.
std::optional<milliseconds> LeastIdle(const Signals& signals) {
  if (std::ranges::none_of(signals.presence, TellsOfPresence)) return std::nullopt;
  std::optional<milliseconds> least;
  for (const PresenceReading& reading : signals.presence) {
    if (reading.known) least = std::min(least.value_or(reading.idle_for), reading.idle_for);
  }
  return least;
}

}  // namespace

Overseer::Overseer(Loop& loop, std::function<OwnersWord()> settings, MachineSenses& machine,
                   PolicyLog& log, Surroundings surroundings)
    : loop_(loop),
      settings_(std::move(settings)),
      machine_(machine),
      log_(log),
      around_(std::move(surroundings)) {}

void Overseer::PauseUntil(std::optional<WallTime> until, std::optional<WallTime> by_root) {
  paused_until_ = until;
  paused_by_root_until_ = by_root;
  Look();
}

void Overseer::Suspend(bool suspending) {
  if (suspending_ && !suspending) woke_at_ = around_.now().steady;
  suspending_ = suspending;
  Look();
}

void Overseer::End() {
  ended_ = true;
  timer_.reset();
}

void Overseer::Look() {
  if (ended_) return;
  Signals signals;
  around_.tell_presence(signals);
  CountWakeAsInput(signals);
  signals.suspending = suspending_;
  signals.paused_until = paused_until_;
  signals.paused_by_root_until = paused_by_root_until_;
  signals.settings_trouble = settings_().trouble;
  const bool soon = MayBeginSoon(signals);
  if (WantsSensors(signals, soon))
    machine_.Read(settings_().settings, around_.own_processes(), signals);
  entry_ = DecideEntry(settings_().settings, signals, around_.now(), memory_);
  around_.act(entry_.decision);
  around_.watch_closely(soon || entry_.decision.action != Action::kPause);
  // Last: a busy disk makes whoever writes wait, and the owner is not to wait with it.
  Record();
  if (!ended_) timer_ = loop_.After(UntilNextLook(soon), [this] { Look(); });
}

void Overseer::CountWakeAsInput(Signals& signals) const {
  if (!woke_at_) return;
  const auto awake = std::chrono::floor<milliseconds>(around_.now().steady - *woke_at_);
  for (PresenceReading& reading : signals.presence) {
    if (!reading.known || reading.kind != PresenceKind::kInput || reading.idle_for <= awake)
      continue;
    reading.idle_for = awake;
    reading.detail += reading.detail.empty() ? "the machine woke" : "; the machine woke";
  }
}

void Overseer::Record() {
  const auto recorded = log_.Record(entry_);
  const std::string trouble = recorded ? "" : recorded.error().message;
  if (!trouble.empty() && trouble != log_trouble_)
    LOG_WARN("agent: the policy's log cannot be kept: {}", trouble);
  log_trouble_ = trouble;
}

bool Overseer::MayBeginSoon(const Signals& signals) const {
  const Settings& settings = settings_().settings;
  const Settings::Presence& presence = settings.presence;
  // Where a GPU may go on beside its owner, work may begin at any time.
  if (presence.dedicated || settings.compute.yield_display_gpu_alone) return true;
  const auto least = LeastIdle(signals);
  return least && *least + kSensorLead >= presence.idle_after;
}

bool Overseer::WantsSensors(const Signals& signals, bool soon) const {
  if (memory_.action == Action::kPause) return soon || around_.holds_memory();
  const Settings& settings = settings_().settings;
  // Which GPUs may go on beside the owner only the sensors tell.
  if (settings.compute.yield_display_gpu_alone) return true;
  const auto signs = UseSigns(settings, signals, memory_.was_free);
  return std::ranges::none_of(signs, [](const Sign& sign) { return sign.seen == Seen::kThere; });
}

milliseconds Overseer::UntilNextLook(bool soon) const {
  return soon || entry_.decision.action != Action::kPause ? kWorkingPeriod : kPausedPeriod;
}

}  // namespace fallow
