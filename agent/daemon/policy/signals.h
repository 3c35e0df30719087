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

// The owner said `pause` without saying for how long.
inline constexpr WallTime kPausedWithoutEnd = WallTime::max();

// Loads, heat and power are shares and means over the time since the sensor was read before: read
// them every 1 to 5 s, not at every event.
struct Signals {
  std::vector<PresenceReading> presence;
  std::vector<SessionSignal> session;
  // Whether the machine itself was looked at: power, heat, loads, network, programs. While somebody
  // is there it need not be; without it no work begins.
  bool machine_read = false;
  PowerReading power;
  ThermalReading thermal;
  std::vector<GpuReading> gpus;
  CpuReading cpu;
  std::optional<bool> metered;
  std::vector<std::string> owner_programs;  // of the owner's list, those that run now
  bool suspending = false;                  // the machine is about to sleep
  std::optional<WallTime> paused_until;     // the owner said `pause`; kPausedWithoutEnd
  // How much of that root said, of an agent that others may pause too. Told, decides nothing.
  std::optional<WallTime> paused_by_root_until;
  std::string settings_trouble;      // why the settings file cannot be followed; empty if it can
  std::vector<std::string> notices;  // sources that misbehaved, in words; shown, decide nothing

  bool operator==(const Signals&) const = default;
};

// What a decision looks at and its log keeps; beyond it, what weighs least is dropped.
inline constexpr std::size_t kMaxPresenceReadings = 16;
inline constexpr std::size_t kMaxSessionSignals = 12;
inline constexpr std::size_t kMaxTemperatures = 12;
inline constexpr std::size_t kMaxGpus = 8;
inline constexpr std::size_t kMaxNamesInSignals = 8;    // programs, notices, troubles
inline constexpr std::size_t kMaxSignalTextBytes = 96;  // of a name or detail
inline constexpr std::size_t kMaxSettingsTroubleBytes = 512;

// The signals within those limits: texts cut and made printable UTF-8 without quotes, values that
// are no numbers taken as absent, long lists cut to what speaks most against work. Bounding twice
// changes nothing.
Signals Bounded(Signals signals);

}  // namespace fallow
