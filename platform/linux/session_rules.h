// What logind's sessions tell about the owner's presence: a pure function of what logind says.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "platform/presence.h"

namespace fallow {

// One session as logind describes it (org.freedesktop.login1.Session).
struct LoginSession {
  std::string id;
  std::string user;
  std::int64_t user_id = -1;
  std::string session_class;  // "user", "greeter" (a login screen), "background", …
  std::string type;           // "x11", "wayland", "tty", "unspecified", …
  std::string seat;           // empty: it has no screen of this machine
  std::string remote_host;    // where a remote session comes from, if that is known
  bool active = false;        // in the foreground of its seat; always true for remote ones
  bool remote = false;
  bool closing = false;  // logged out, some process lingers
  bool locked = false;
  bool idle_hint = false;
  // Since when it is idle or not, as it says; none if it never said. On CLOCK_MONOTONIC.
  std::optional<std::chrono::microseconds> idle_since;
  // A "tty" session whose console shows graphics (X started by hand), or whose console we may not
  // look at.
  bool console_hides_input = false;
  bool seen_elsewhere = false;  // another source sees its input
};

// Whether it is a display manager's, which asks who wants in.
inline bool IsLoginScreen(const LoginSession& session) {
  return session.session_class == "greeter";
}

// `now` on CLOCK_MONOTONIC. The rule is in presence.h.
PresenceReading JudgeSessions(std::span<const LoginSession> sessions,
                              std::chrono::microseconds now);

}  // namespace fallow
