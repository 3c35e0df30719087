// Which sources suit a login: by what its environment says of its display and desktop. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallow {

// What the login's environment says; empty where it says nothing.
struct LoginEnvironment {
  std::string session;          // XDG_SESSION_ID: logind's
  std::string session_type;     // XDG_SESSION_TYPE: "wayland", "x11", "tty"
  std::string desktop;          // XDG_CURRENT_DESKTOP
  std::string display;          // DISPLAY: an X11 server, which in a Wayland session is XWayland
  std::string wayland_display;  // WAYLAND_DISPLAY
};
LoginEnvironment ReadLoginEnvironment();

enum class PresenceChoice : std::uint8_t { kWayland, kMutter, kX11, kGamepads };
enum class SignalChoice : std::uint8_t {
  kX11FullScreen,
  kXwaylandFullScreen,  // not before a program uses XWayland: asking would start it
  kWaylandFullScreen,
  kGameMode,
  kDesktopInhibitor,
  kX11Inhibitor,
  kLogindInhibitor,
};

struct SourcePlan {
  // Of each list the first that can be opened is used.
  std::vector<std::vector<PresenceChoice>> presence;
  std::vector<SignalChoice> signals;
  bool operator==(const SourcePlan&) const = default;
};

// In a Wayland session the compositor's idle clock, or else GNOME's; never X11's, for XWayland sees
// the input to its own windows alone. In an X11 session the server's, and GNOME's where it is.
SourcePlan PlanSources(const LoginEnvironment& login);

}  // namespace fallow
