// Everything the policy looks at, at one moment.
//
// What could not be read is absent: each rule says what absence means to it. Plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/cpu_load.h"
#include "platform/gpu_load.h"
#include "platform/power.h"
#include "platform/presence.h"
#include "platform/session_signals.h"
#include "platform/thermals.h"

namespace fallow {

struct Signals {
  std::vector<PresenceReading> presence;
  std::vector<SessionSignal> session;
  PowerReading power;
  ThermalReading thermal;
  std::vector<GpuReading> gpus;
  CpuReading cpu;
  std::optional<bool> metered;
  std::vector<std::string> owner_programs;  // of the owner's list, those that run now
  bool suspending = false;                  // the machine is about to sleep
  // The owner said `pause`: until when; the far future without an end.
  std::optional<WallTime> paused_until;
  std::string settings_trouble;      // why the settings file cannot be followed; empty if it can
  std::vector<std::string> notices;  // sources that misbehaved, in words; shown, decide nothing

  bool operator==(const Signals&) const = default;
};

}  // namespace fallow
