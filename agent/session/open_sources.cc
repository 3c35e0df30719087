#include "agent/session/open_sources.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "platform/x11_clients.h"

namespace fallow {
namespace {

using OpenedPresence = Result<std::unique_ptr<PresenceSource>>;
using OpenedSignal = Result<std::unique_ptr<SessionSignalSource>>;

std::string NameOf(PresenceChoice choice, const LoginEnvironment& login) {
  switch (choice) {
    case PresenceChoice::kWayland:
      return "wayland " + login.wayland_display;
    case PresenceChoice::kMutter:
      return "mutter";
    case PresenceChoice::kX11:
      return "x11 " + login.display;
    case PresenceChoice::kGamepads:
      return "gamepads";
  }
  return "";
}

OpenedPresence Open(Loop& loop, PresenceChoice choice, const LoginEnvironment& login) {
  switch (choice) {
    case PresenceChoice::kWayland:
      if (!login.wayland_display.empty()) {
        return NewWaylandPresenceSource(loop, login.wayland_display);
      }
      return Fail(ErrorCode::kUnavailable, "WAYLAND_DISPLAY is not set");
    case PresenceChoice::kMutter:
      return NewMutterPresenceSource(loop);
    case PresenceChoice::kX11:
      if (!login.display.empty()) return NewX11PresenceSource(loop, login.display);
      return Fail(ErrorCode::kUnavailable, "DISPLAY is not set");
    case PresenceChoice::kGamepads:
      return NewEvdevPresenceSource(loop, {.gamepads_only = true});
  }
  return Fail(ErrorCode::kUnimplemented, "an unknown source");
}

// The first of `choices` that can be opened, or why none can.
OpenedPresence OpenFirst(Loop& loop, const std::vector<PresenceChoice>& choices,
                         const LoginEnvironment& login) {
  std::string troubles;
  for (const PresenceChoice choice : choices) {
    auto source = Open(loop, choice, login);
    if (source) return source;
    troubles += fmt::format("{}{}", troubles.empty() ? "" : "; ", source.error().message);
  }
  return Fail(ErrorCode::kUnavailable, troubles);
}

SessionSignal Absent(SignalChoice choice, const LoginEnvironment& login) {
  switch (choice) {
    case SignalChoice::kX11FullScreen:
    case SignalChoice::kXwaylandFullScreen:
      return {.kind = SessionSignalKind::kFullScreen, .source = "x11 " + login.display};
    case SignalChoice::kWaylandFullScreen:
      return {.kind = SessionSignalKind::kFullScreen, .source = "wayland " + login.wayland_display};
    case SignalChoice::kGameMode:
      return {.kind = SessionSignalKind::kGameMode, .source = "gamemode"};
    case SignalChoice::kDesktopInhibitor:
      return {.kind = SessionSignalKind::kIdleInhibitor, .source = "desktop"};
    case SignalChoice::kX11Inhibitor:
      return {.kind = SessionSignalKind::kIdleInhibitor, .source = "x11 saver " + login.display};
    case SignalChoice::kLogindInhibitor:
      return {.kind = SessionSignalKind::kIdleInhibitor, .source = "logind"};
  }
  return {};
}

OpenedSignal Open(Loop& loop, SignalChoice choice, const LoginEnvironment& login) {
  switch (choice) {
    case SignalChoice::kXwaylandFullScreen:
      if (!HasX11Clients(login.display)) {
        return Fail(ErrorCode::kUnavailable, "no program uses XWayland at " + login.display);
      }
      return NewX11FullScreenSource(loop, login.display);
    case SignalChoice::kX11FullScreen:
      return NewX11FullScreenSource(loop, login.display);
    case SignalChoice::kWaylandFullScreen:
      if (!login.wayland_display.empty()) {
        return NewWaylandFullScreenSource(loop, login.wayland_display);
      }
      return Fail(ErrorCode::kUnavailable, "WAYLAND_DISPLAY is not set");
    case SignalChoice::kGameMode:
      return NewGameModeSource(loop);
    case SignalChoice::kDesktopInhibitor:
      return NewDesktopInhibitorSource(loop);
    case SignalChoice::kX11Inhibitor:
      return NewX11InhibitorSource(login.display);
    case SignalChoice::kLogindInhibitor:
      return NewLogindInhibitorSource(loop);
  }
  return Fail(ErrorCode::kUnimplemented, "an unknown source");
}

}  // namespace

std::vector<PresenceSet::Kind> PresenceKinds(Loop& loop, const LoginEnvironment& login,
                                             const SourcePlan& plan) {
  std::vector<PresenceSet::Kind> kinds;
  for (const std::vector<PresenceChoice>& choices : plan.presence) {
    const bool gamepads = choices.front() == PresenceChoice::kGamepads;
    kinds.push_back({.absent = {.source = NameOf(choices.front(), login),
                                .kind = gamepads ? PresenceKind::kGamepad : PresenceKind::kInput},
                     .open = [&loop, choices, login] { return OpenFirst(loop, choices, login); }});
  }
  return kinds;
}

std::vector<SignalSet::Kind> SignalKinds(Loop& loop, const LoginEnvironment& login,
                                         const SourcePlan& plan) {
  std::vector<SignalSet::Kind> kinds;
  for (const SignalChoice choice : plan.signals) {
    kinds.push_back({.absent = Absent(choice, login),
                     .open = [&loop, choice, login] { return Open(loop, choice, login); }});
  }
  return kinds;
}

}  // namespace fallow
