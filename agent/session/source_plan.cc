#include "agent/session/source_plan.h"

#include <cstdlib>

namespace fallow {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

LoginEnvironment ReadLoginEnvironment() {
  return {.session = Variable("XDG_SESSION_ID"),
          .session_type = Variable("XDG_SESSION_TYPE"),
          .desktop = Variable("XDG_CURRENT_DESKTOP"),
          .display = Variable("DISPLAY"),
          .wayland_display = Variable("WAYLAND_DISPLAY")};
}

SourcePlan PlanSources(const LoginEnvironment& login) {
  SourcePlan plan;
  const bool wayland = login.session_type == "wayland" || !login.wayland_display.empty();
  if (wayland) {
    plan.presence.push_back({PresenceChoice::kWayland, PresenceChoice::kMutter});
    plan.signals.push_back(SignalChoice::kWaylandFullScreen);
  } else if (login.session_type == "x11" || !login.display.empty()) {
    plan.presence.push_back({PresenceChoice::kX11});
    plan.presence.push_back({PresenceChoice::kMutter});
  }
  // Games and films run full-screen under XWayland too.
  if (!login.display.empty()) {
    plan.signals.push_back(wayland ? SignalChoice::kXwaylandFullScreen
                                   : SignalChoice::kX11FullScreen);
  }
  plan.presence.push_back({PresenceChoice::kGamepads});
  // XWayland's saver is nobody's: no screen goes dark by it.
  if (!wayland && !login.display.empty()) plan.signals.push_back(SignalChoice::kX11Inhibitor);
  for (const SignalChoice choice :
       {SignalChoice::kGameMode, SignalChoice::kDesktopInhibitor, SignalChoice::kLogindInhibitor}) {
    plan.signals.push_back(choice);
  }
  return plan;
}

}  // namespace fallow
