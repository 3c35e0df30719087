// The idle policy: whether the machine is free for work, and why (not), in words for its owner.
//
// "In use" is the default: whatever cannot be told counts as use. Pure functions.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "platform/presence.h"

namespace fallow {

// Work that has begun goes on down to this much below the threshold, so that a source which rounds
// its times does not make it start and stop. Input sets the idle time to zero and stops work at
// once all the same.
inline constexpr std::chrono::milliseconds kIdleHysteresis{10'000};

struct IdleSettings {
  std::chrono::milliseconds idle_after{180'000};
  bool dedicated = false;  // a machine without an owner
  bool operator==(const IdleSettings&) const = default;
};

struct IdleDecision {
  bool run = false;
  std::string reason;
  bool operator==(const IdleDecision&) const = default;
};

// `running`: what was decided last. The least idle source that knows counts.
IdleDecision DecideIdle(const IdleSettings& settings, std::span<const PresenceReading> readings,
                        bool running);

// "45 s", "4 min", "2 h": whole units, rounded down.
std::string ShortDuration(std::chrono::milliseconds duration);

}  // namespace fallow
