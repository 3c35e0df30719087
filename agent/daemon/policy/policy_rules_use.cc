// Who is at the machine: input, sessions, programs.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/policy_rules.h"
#include "base/utf8.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxListBytes = 400;  // of sources or programs in one text

std::string Joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += between;
    text += part;
  }
  return ToValidUtf8(text, kMaxListBytes);
}

const PresenceReading* LeastIdle(const Signals& signals, std::optional<PresenceKind> kind) {
  const PresenceReading* least = nullptr;
  for (const PresenceReading& reading : signals.presence) {
    if (!reading.known || reading.kind == PresenceKind::kDistrusted) continue;
    if (kind && reading.kind != *kind) continue;
    if (least == nullptr || reading.idle_for < least->idle_for) least = &reading;
  }
  return least;
}

Sign DistrustedSign(const Signals& signals) {
  Sign sign{.reason = Reason::kDistrustedSource};
  const auto at =
      std::ranges::find(signals.presence, PresenceKind::kDistrusted, &PresenceReading::kind);
  if (at == signals.presence.end()) return sign;
  sign.seen = Seen::kThere;
  sign.text = fmt::format("{} is not believed: {}; counted as in use", at->source, at->detail);
  sign.way_out = "it behaves again, up to a minute long, or its login ends";
  return sign;
}

Sign UnknownSign(const Signals& signals) {
  Sign sign{.reason = Reason::kUnknownPresence};
  if (std::ranges::any_of(signals.presence, TellsOfPresence)) return sign;
  sign.seen = Seen::kThere;
  sign.way_out =
      "a source that tells (`fallow-agent doctor` shows them), or presence.dedicated on a machine "
      "without an owner";
  std::vector<std::string> why;
  for (const PresenceReading& reading : signals.presence)
    if (!reading.known) why.push_back(fmt::format("{}: {}", reading.source, reading.detail));
  sign.text = why.empty() ? "no source tells whether somebody is at this machine; counted as in use"
                          : fmt::format(
                                "nothing tells whether somebody is at this machine; "
                                "counted as in use ({})",
                                Joined(why, "; "));
  return sign;
}

Sign IdleSign(const Settings& settings, const Signals& signals, bool was_free, Reason reason,
              PresenceKind kind, std::string_view what) {
  Sign sign{.reason = reason};
  const PresenceReading* least = LeastIdle(signals, kind);
  const auto idle_after = settings.presence.idle_after;
  const auto slack =
      was_free ? std::min(kIdleHysteresis, idle_after / 2) : std::chrono::milliseconds(0);
  if (least == nullptr || least->idle_for >= idle_after - slack) return sign;
  sign.seen = Seen::kThere;
  sign.text = fmt::format("{} {} ago ({}); free after {} without", what,
                          ShortDuration(least->idle_for), least->source, ShortDuration(idle_after));
  sign.way_out = fmt::format("none for {} more, or a shorter presence.idle_after",
                             TimeLeft(idle_after - least->idle_for));
  return sign;
}

Sign SessionSign(const Signals& signals, bool counts, Reason reason, SessionSignalKind kind,
                 std::string_view what, std::string_view setting) {
  Sign sign{.reason = reason, .settles = kUseSettles, .counts = counts};
  sign.text = fmt::format("{}: none now", what);
  sign.way_out = fmt::format("it ends for {}, or {} = false", ShortDuration(kUseSettles), setting);
  if (!counts) return sign;
  const auto at = std::ranges::find_if(signals.session, [&](const SessionSignal& signal) {
    return signal.kind == kind && signal.known && signal.active;
  });
  if (at == signals.session.end()) return sign;
  sign.seen = Seen::kThere;
  sign.text = at->detail.empty() ? fmt::format("{} ({})", what, at->source)
                                 : fmt::format("{}: {} ({})", what, at->detail, at->source);
  return sign;
}

Sign ProgramSign(const Settings& settings, const Signals& signals) {
  Sign sign{.reason = Reason::kOwnerProgram,
            .settles = kUseSettles,
            .counts = !settings.presence.owner_programs.empty() || !signals.owner_programs.empty()};
  sign.text = "no program of the owner's list is seen now";
  sign.way_out =
      fmt::format("it ends for {}, or leaves presence.programs", ShortDuration(kUseSettles));
  if (signals.owner_programs.empty()) return sign;
  sign.seen = Seen::kThere;
  sign.text = fmt::format("{} on the owner's list runs", Joined(signals.owner_programs, ", "));
  return sign;
}

}  // namespace

std::vector<Sign> UseSigns(const Settings& settings, const Signals& signals, bool was_free) {
  if (settings.presence.dedicated) return {};
  const auto& presence = settings.presence;
  const auto idle = [&](Reason reason, PresenceKind kind, std::string_view what) {
    return IdleSign(settings, signals, was_free, reason, kind, what);
  };
  return {
      DistrustedSign(signals),
      UnknownSign(signals),
      idle(Reason::kInput, PresenceKind::kInput, "input"),
      idle(Reason::kGamepad, PresenceKind::kGamepad, "gamepad input"),
      idle(Reason::kRemoteSession, PresenceKind::kRemote, "input of a remote session"),
      SessionSign(signals, presence.game_mode, Reason::kGameMode, SessionSignalKind::kGameMode,
                  "game mode", "presence.game_mode"),
      SessionSign(signals, presence.full_screen, Reason::kFullScreen,
                  SessionSignalKind::kFullScreen, "full screen", "presence.full_screen"),
      SessionSign(signals, presence.idle_inhibitors, Reason::kIdleInhibitor,
                  SessionSignalKind::kIdleInhibitor, "the screen is kept awake",
                  "presence.idle_inhibitors"),
      ProgramSign(settings, signals),
  };
}

std::string WhyFree(const Settings& settings, const Signals& signals) {
  if (settings.presence.dedicated) return "this machine is dedicated to work";
  const PresenceReading* least = LeastIdle(signals, std::nullopt);
  if (least == nullptr) return "nobody is there";
  return fmt::format("no input for {} ({})", ShortDuration(least->idle_for), least->source);
}

}  // namespace fallow
