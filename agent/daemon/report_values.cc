#include "agent/daemon/report_values.h"

#include <fmt/format.h>

#include <algorithm>

namespace fallow {
namespace {

PresenceKind KindOf(PresenceReport::Kind kind) {
  switch (kind) {
    case PresenceReport::Kind::kInput:
      return PresenceKind::kInput;
    case PresenceReport::Kind::kGamepad:
      return PresenceKind::kGamepad;
    case PresenceReport::Kind::kRemote:
      return PresenceKind::kRemote;
    case PresenceReport::Kind::kDistrusted:
      break;
  }
  return PresenceKind::kDistrusted;
}

SessionSignalKind KindOf(SignalReport::Kind kind) {
  switch (kind) {
    case SignalReport::Kind::kFullScreen:
      return SessionSignalKind::kFullScreen;
    case SignalReport::Kind::kGameMode:
      return SessionSignalKind::kGameMode;
    case SignalReport::Kind::kIdleInhibitor:
      break;
  }
  return SessionSignalKind::kIdleInhibitor;
}

std::string OfUser(const std::string& source, const std::string& user) {
  return fmt::format("{} ({})", source, user);
}

}  // namespace

PresenceReading ToReading(const PresenceReport& told, const std::string& user) {
  return {.source = OfUser(told.source, user),
          .known = told.known,
          .idle_for = told.idle_for,
          .detail = told.detail,
          .kind = KindOf(told.kind)};
}

SessionSignal ToSignal(const SignalReport& told, const std::string& user) {
  return {.kind = KindOf(told.kind),
          .source = OfUser(told.source, user),
          .known = told.known,
          .active = told.active,
          .detail = told.detail};
}

PresenceReading DistrustedReading(const std::string& user, const std::string& why) {
  return {.source = OfUser("session helper", user),
          .known = true,
          .idle_for = std::chrono::milliseconds(0),
          .detail = why,
          .kind = PresenceKind::kDistrusted};
}

bool IsNews(const SessionReport& before, const SessionReport& now) {
  if (now.seen_input_at || now.signals != before.signals) return true;
  return !std::ranges::equal(now.presence, before.presence,
                             [](const PresenceReport& a, const PresenceReport& b) {
                               return a.source == b.source && a.known == b.known &&
                                      a.kind == b.kind && a.idle_for >= b.idle_for;
                             });
}

}  // namespace fallow
