// The rules of the policy: for each reason, whether its cause is there at this moment, in words.
//
// They know nothing of time: how long a reason holds after its cause is gone is policy.cc's. Pure
// functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/policy/policy.h"
#include "agent/daemon/policy/settings.h"
#include "agent/daemon/policy/signals.h"

namespace fallow {

// Between two thresholds nothing begins and nothing ends.
enum class Seen : std::uint8_t { kNot, kBetween, kThere };

struct Sign {
  Reason reason = Reason::kInput;
  Seen seen = Seen::kNot;
  std::string text, way_out;             // as in ReasonText; also while the reason only settles
  std::chrono::milliseconds settles{0};  // after the cause is gone
  bool counts = true;                    // the owner's settings let it; else it ends at once
};

// How long a cause must be gone.
inline constexpr std::chrono::milliseconds kUseSettles{30'000};  // session signals, programs
inline constexpr std::chrono::milliseconds kLoadSettles{30'000};
inline constexpr std::chrono::milliseconds kMemorySettles{60'000};
inline constexpr std::chrono::milliseconds kPowerSettles{60'000};
inline constexpr std::chrono::milliseconds kHeatSettles{60'000};
inline constexpr std::chrono::milliseconds kSensorSettles{30'000};
// A load must fall to this part of its threshold, free memory rise to that.
inline constexpr double kLoadRelease = 0.8;
inline constexpr double kMemoryRelease = 1.25;
// Share of the last 10 s in which programs waited for memory.
inline constexpr double kMemoryPressureShare = 0.20;

// Signs that somebody uses the machine. `was_free`: the last decision found nobody. Of a dedicated
// machine: none.
std::vector<Sign> UseSigns(const Settings& settings, const Signals& signals, bool was_free);
// "no input for 20 min (x11 :0)", "this machine is dedicated to work".
std::string WhyFree(const Settings& settings, const Signals& signals);

// Signs of the machine's loads. `gpus`: those that may be used. `own_work`: ours runs or ran just
// now, so that a GPU's load which nobody divides may be ours.
std::vector<Sign> LoadSigns(const Settings& settings, const Signals& signals,
                            const std::vector<GpuReading>& gpus, bool own_work);
// Of its power and network.
std::vector<Sign> PowerSigns(const Settings& settings, const Signals& signals);
// Of heat and watts, after the loop's step.
std::vector<Sign> QuietSigns(const Settings& settings, const Signals& signals,
                             const QuietTargets& targets, const QuietStep& step, SteadyTime now);
// "processor at 77 °C, held at or below 78 °C".
std::string HeldText(const QuietStep& step, QuietLimit limit);

// The GPUs that drive no display for certain and have an address.
std::vector<GpuReading> GpusWithoutDisplay(const Signals& signals);

}  // namespace fallow
