#include "platform/linux/session_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace fallow {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Classes of sessions (pam_systemd) in which nobody can be: scheduled jobs and the users' service
// managers. All others are somebody's, those too that a later systemd will name.
constexpr std::array<std::string_view, 4> kServiceClasses = {"background", "background-light",
                                                             "manager", "manager-early"};

// Where one session cannot be seen, input in another this long ago still proves that somebody is
// there.
constexpr std::chrono::minutes kRecent{5};

struct Verdict {
  enum Kind { kDoesNotCount, kIdleFor, kUnseen } kind = kDoesNotCount;
  milliseconds idle_for{0};
  std::string_view why;
};

bool MayBeUsed(const LoginSession& session) {
  const bool is_service = std::ranges::count(kServiceClasses, session.session_class) != 0;
  if (session.closing || is_service) return false;
  // Whoever is asked for a password from another machine has no session here yet.
  return !IsLoginScreen(session) || (!session.remote && !session.seat.empty());
}

bool IsGraphical(const LoginSession& session) {
  return session.type == "x11" || session.type == "wayland" || session.type == "mir";
}

Verdict InUse(std::string_view why) {
  return {Verdict::kIdleFor, milliseconds(0), why};
}

Verdict IdleSince(const LoginSession& session, microseconds now) {
  const auto idle = std::chrono::floor<milliseconds>(now - *session.idle_since);
  return {Verdict::kIdleFor, std::max(idle, milliseconds(0)), ""};
}

Verdict LeftToOthers(std::string_view why) {
  return {Verdict::kUnseen, milliseconds(0), why};
}

Verdict JudgeGraphical(const LoginSession& session, microseconds now) {
  if (session.idle_hint && session.idle_since) return IdleSince(session, now);
  // No input reaches a session in the background.
  if (!session.active && !session.remote) return {};
  if (session.idle_since) return InUse("its desktop says so");
  if (session.seen_elsewhere) return LeftToOthers("its desktop never says when it is idle");
  return InUse("its desktop never says when it is idle, which counts as in use");
}

Verdict Judge(const LoginSession& session, microseconds now) {
  if (!MayBeUsed(session)) return {};
  if (IsGraphical(session)) return JudgeGraphical(session, now);
  if (session.console_hides_input) {
    if (!session.active) return {};
    if (session.seen_elsewhere)
      return LeftToOthers("its console shows graphics or is not ours to see");
    return InUse("its console shows graphics or is not ours to see, which counts as in use");
  }
  if (session.idle_since) return IdleSince(session, now);
  // Some display managers do not say what theirs is shown on.
  if (IsLoginScreen(session)) return JudgeGraphical(session, now);
  return InUse("it has no terminal that would tell when it was used");
}

std::string Describe(const LoginSession& session, std::string_view why) {
  return fmt::format("session {} of {}{}{} ({}{}{}{}){}{}", session.id, session.user,
                     session.remote_host.empty() ? "" : " from ", session.remote_host,
                     session.type.empty() ? "no type" : session.type,
                     IsLoginScreen(session) ? ", login screen" : "",
                     session.remote ? ", remote" : "", session.locked ? ", locked" : "",
                     why.empty() ? "" : ": ", why);
}

// The least idle session that counts, and why.
struct Telling {
  const LoginSession* session = nullptr;  // null: none counts
  Verdict verdict;

  // Of two that were used at the same time, the remote one is the less expected.
  bool GivesWayTo(const LoginSession& other, const Verdict& its) const {
    if (session == nullptr || its.idle_for != verdict.idle_for)
      return session == nullptr || its.idle_for < verdict.idle_for;
    return other.remote && !session->remote;
  }
};

}  // namespace

PresenceReading JudgeSessions(std::span<const LoginSession> sessions, microseconds now) {
  Telling telling;
  std::string unseen;
  for (const LoginSession& session : sessions) {
    const Verdict verdict = Judge(session, now);
    if (verdict.kind == Verdict::kUnseen) unseen = Describe(session, verdict.why);
    if (verdict.kind == Verdict::kIdleFor && telling.GivesWayTo(session, verdict))
      telling = {&session, verdict};
  }
  PresenceReading reading{.source = "logind", .known = false, .idle_for = {}, .detail = {}};
  if (!unseen.empty() && (telling.session == nullptr || telling.verdict.idle_for >= kRecent)) {
    reading.detail = unseen;
    return reading;
  }
  if (telling.session == nullptr) {
    reading.detail = "nobody is logged in, and logind does not see input at the login screen";
    return reading;
  }
  reading.known = true;
  reading.idle_for = unseen.empty() ? telling.verdict.idle_for : milliseconds(0);
  reading.detail = Describe(*telling.session, telling.verdict.why);
  if (telling.session->remote) reading.kind = PresenceKind::kRemote;
  return reading;
}

}  // namespace fallow
