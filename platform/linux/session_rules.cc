#include "platform/linux/session_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace fallow {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Where one session cannot be seen, input in another this long ago still proves that somebody is
// there.
constexpr std::chrono::minutes kRecent{5};

struct Verdict {
  enum Kind { kDoesNotCount, kIdleFor, kUnseen } kind = kDoesNotCount;
  milliseconds idle_for{0};
  std::string_view why;
};

bool IsGraphical(const LoginSession& session) {
  return session.type == "x11" || session.type == "wayland" || session.type == "mir";
}

// ":0.1" is a screen of display ":0".
std::string_view WithoutScreen(std::string_view display) {
  const auto colon = display.rfind(':');
  const auto dot = display.find('.', colon == std::string_view::npos ? 0 : colon);
  return display.substr(0, dot);
}

Verdict InUse(std::string_view why) {
  return {Verdict::kIdleFor, milliseconds(0), why};
}

Verdict IdleSince(const LoginSession& session, microseconds now) {
  const auto idle = std::chrono::floor<milliseconds>(now - *session.idle_since);
  return {Verdict::kIdleFor, std::max(idle, milliseconds(0)), ""};
}

Verdict JudgeGraphical(const LoginSession& session, microseconds now,
                       std::span<const std::string> watched_displays) {
  if (session.idle_hint && session.idle_since) return IdleSince(session, now);
  // No input reaches a session in the background.
  if (!session.active && !session.remote) return {};
  if (session.idle_since) return InUse("its desktop says so");
  const bool watched = session.type == "x11" && !session.display.empty() &&
                       std::ranges::any_of(watched_displays, [&](const std::string& display) {
                         return WithoutScreen(display) == WithoutScreen(session.display);
                       });
  if (watched) return {Verdict::kUnseen, milliseconds(0), "its desktop never says when it is idle"};
  return InUse("its desktop never says when it is idle, which counts as in use");
}

Verdict Judge(const LoginSession& session, microseconds now,
              std::span<const std::string> watched_displays) {
  if (session.session_class != "user" || session.closing) return {};
  if (IsGraphical(session)) return JudgeGraphical(session, now, watched_displays);
  if (session.console_hides_input) {
    if (!session.active) return {};
    return {Verdict::kUnseen, milliseconds(0), "its console shows graphics or is not ours to see"};
  }
  if (session.idle_since) return IdleSince(session, now);
  return InUse("it has no terminal that would tell when it was used");
}

std::string Describe(const LoginSession& session, std::string_view why) {
  return fmt::format("session {} of {} ({}{}{}){}{}", session.id, session.user,
                     session.type.empty() ? "no type" : session.type,
                     session.remote ? ", remote" : "", session.locked ? ", locked" : "",
                     why.empty() ? "" : ": ", why);
}

}  // namespace

PresenceReading JudgeSessions(std::span<const LoginSession> sessions, microseconds now,
                              std::span<const std::string> watched_displays) {
  PresenceReading reading{.source = "logind", .known = false, .idle_for = {}, .detail = {}};
  bool counted = false;
  std::string unseen;
  for (const LoginSession& session : sessions) {
    const Verdict verdict = Judge(session, now, watched_displays);
    if (verdict.kind == Verdict::kUnseen) unseen = Describe(session, verdict.why);
    if (verdict.kind != Verdict::kIdleFor) continue;
    if (counted && verdict.idle_for >= reading.idle_for) continue;
    counted = true;
    reading.idle_for = verdict.idle_for;
    reading.detail = Describe(session, verdict.why);
  }
  if (!unseen.empty()) {
    reading.known = counted && reading.idle_for < kRecent;
    reading.idle_for = milliseconds(0);
    if (!reading.known) reading.detail = unseen;
    return reading;
  }
  reading.known = counted;
  if (!counted) {
    reading.detail = "nobody is logged in, and logind does not see input at the login screen";
  }
  return reading;
}

}  // namespace fallow
