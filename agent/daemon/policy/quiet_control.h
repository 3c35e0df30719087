// Quiet mode: holds temperatures and watts at their ceilings by the share of time that is computed.
//
// A closed loop: each step is a pure function of its state, the targets and what is measured.
// Every limit (hottest processor sensor, hottest GPU, watts) asks for a change of the share; the
// one that asks for least wins, so none winds up while another holds. Without transcendental
// functions, so that a logged step gives the same bits again.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "agent/daemon/policy/settings.h"
#include "agent/daemon/policy/signals.h"
#include "base/clock.h"

namespace fallow {

// What the slider and the settings that override it ask for. docs/POLICY.md has the mapping.
struct QuietTargets {
  double cpu_ceiling_celsius = 0;
  double gpu_ceiling_celsius = 0;
  double gpu_power_share = 1;         // of each GPU's own limit
  double max_share = 1;               // of time, whatever is measured
  std::optional<double> watts_limit;  // of processors and GPUs together, as far as measured
  // Whether the owner set the ceiling: then a lost sensor is a reason to pause.
  bool cpu_ceiling_set = false;
  bool gpu_ceiling_set = false;
  bool operator==(const QuietTargets&) const = default;
};
QuietTargets TargetsOf(const Settings::Quiet& quiet);

enum class QuietLimit : std::uint8_t { kCpuHeat, kGpuHeat, kWatts, kGpuPower };
inline constexpr std::size_t kQuietLimitCount = 4;

// What one limit measures now, and where it is to be held; absent where nothing measures it.
struct QuietReading {
  struct Limit {
    std::optional<double> value;  // °C or watts; of kGpuPower, watts of the GPU nearest its limit
    double ceiling = 0;           // in the same unit
    bool in_force = true;         // false: nobody asks for this limit
    bool operator==(const Limit&) const = default;
  };
  std::array<Limit, kQuietLimitCount> limits;  // by QuietLimit
  bool operator==(const QuietReading&) const = default;
};
// A part's own critical temperature less kCriticalMargin lowers its ceiling, whatever was set.
inline constexpr double kCriticalMarginCelsius = 10;
QuietReading ReadQuiet(const QuietTargets& targets, const Signals& signals);

// The loop's limits in time and share.
inline constexpr double kMinShare = 0.02;    // less is a pause
inline constexpr double kStartShare = 0.25;  // where work begins while something is measured
inline constexpr std::chrono::milliseconds kQuietPeriod{1000};  // steps closer than that wait
// A reading older than this is lost.
inline constexpr std::chrono::milliseconds kSensorGrace{10'000};
// Above the ceiling by this much although the share is at its least: the loop asks for a pause,
// which ends once everything is below its ceiling by that much (of watts: by a tenth).
inline constexpr double kPauseAboveCelsius = 3;
inline constexpr double kResumeBelowCelsius = 4;

struct QuietState {
  double share = kStartShare;
  SteadyTime stepped_at{};  // of the last step; the epoch before the first
  std::optional<QuietLimit> limited_by;
  struct Loop {
    bool seen = false;
    double smooth = 0;      // the value without its noise
    double slope = 0;       // of it, per second
    double ceiling = 0;     // of the last step that had a value
    double last_error = 0;  // of that step
    SteadyTime read_at{};   // when the value was last there
    double over_s = 0;      // for so long above the ceiling with nothing left to lower
    bool operator==(const Loop&) const = default;
  };
  std::array<Loop, kQuietLimitCount> loops;
  bool operator==(const QuietState&) const = default;
};

struct QuietStep {
  QuietState state;
  double share = 1;                      // of time to compute; 0: pause
  std::optional<QuietLimit> limited_by;  // what holds the share below max_share
  bool cool = true;  // everything measured is far enough below its ceiling to end a pause
  bool operator==(const QuietStep&) const = default;
};
// `computing`: whether work has run since the step before; the share moves only then.
QuietStep StepQuiet(const QuietState& state, const QuietTargets& targets,
                    const QuietReading& reading, bool computing, SteadyTime now);

}  // namespace fallow
