// What a login's sources say now, for people and for `fallow-agent doctor`. Pure.
#pragma once

#include <span>
#include <string>

#include "platform/presence.h"
#include "platform/session_signals.h"

namespace fallow {

// One line a source: "wayland-0: idle for 12 s", "gamemode: cannot tell (no session bus)".
std::string SourceText(std::span<const PresenceReading> presence,
                       std::span<const SessionSignal> signals);
// {"presence": [{"source", "kind", "known", "idle_s", "detail"}], "session_signals": [{"source",
// "kind", "known", "active", "detail"}]}; what is not known is null. One line.
std::string SourceJson(std::span<const PresenceReading> presence,
                       std::span<const SessionSignal> signals);

}  // namespace fallow
