// The policy: whether this machine works now, how hard, and why.
//
// One pure function of signals, settings, the moment and what was decided before. "In use" is the
// default: whatever cannot be told about presence counts as use. Steady time alone drives
// hysteresis; a step of the wall clock moves the schedule and the end of a pause, nothing else.
// docs/POLICY.md has the table of reasons.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/quiet_control.h"
#include "agent/daemon/policy/settings.h"
#include "agent/daemon/policy/signals.h"
#include "base/clock.h"

namespace fallow {

enum class Action : std::uint8_t {
  kRun,
  kReduce,  // works for `share` of the time, or on `only_gpus`, or both
  kPause,
};
std::string_view ActionName(Action action);  // "run"

// Why not, or not fully, the weightiest first. The names are what owners, logs and the coordinator
// see.
enum class Reason : std::uint8_t {
  kSuspending,
  kPausedByOwner,
  kSettings,          // the settings file cannot be followed
  kDistrustedSource,  // a source that is silent, floods or lies
  kUnknownPresence,   // nothing tells whether somebody is there
  kInput,
  kGamepad,
  kRemoteSession,
  kGameMode,
  kFullScreen,
  kIdleInhibitor,
  kOwnerProgram,
  kSchedule,
  kBattery,
  kPowerSaver,
  kMeteredNetwork,
  kGpuMemory,  // others want the GPU's memory
  kMemory,     // others want the machine's memory
  kGpuLoad,
  kCpuLoad,
  kSensorLost,   // the owner set a ceiling, and nothing tells the temperature or the watts any more
  kTemperature,  // held at a ceiling, or above it
  kPowerLimit,   // held at a limit in watts
  kQuietLevel,   // the level's own share of time
  kSettling,     // nothing holds any more; work waits so that it does not start and stop
};
inline constexpr int kReasonCount = static_cast<int>(Reason::kSettling) + 1;
std::string_view ReasonName(Reason reason);  // "full_screen"
// All names, in the order of the values.
std::span<const std::string_view> ActionNames();
std::span<const std::string_view> ReasonNames();

struct ReasonText {
  Reason reason = Reason::kInput;
  // What was seen and its threshold: "input 3 s ago (x11 :0); free after 3 min without".
  std::string text;
  // What would have to change: "no input for 2 min 57 s more, or a shorter presence.idle_after".
  std::string way_out;
  bool operator==(const ReasonText&) const = default;
};

struct Decision {
  Action action = Action::kPause;
  double share = 0;  // of time to compute: 1 at kRun, 0 at kPause
  // Not empty: somebody uses the machine, and work may go on these GPUs alone (PCI addresses), none
  // of which drives a display. A worker on anything else, the CPU among it, must stop.
  std::vector<std::string> only_gpus;
  bool keep_memory = true;          // at kPause: whether the model may stay in memory
  std::string text;                 // the first reason's, or why it runs
  std::vector<ReasonText> reasons;  // all that hold, the weightiest first; empty at kRun
  bool operator==(const Decision&) const = default;
};

struct Moment {
  SteadyTime steady;
  WallTime wall;
  // Of the machine's own time zone: 0 Monday … 6 Sunday, and 0…1439.
  int weekday = 0;
  int minute_of_day = 0;
  bool operator==(const Moment&) const = default;
};

// What earlier calls leave for later ones.
struct PolicyMemory {
  Action action = Action::kPause;
  std::optional<SteadyTime> paused_since;  // none before the first decision, and while it works
  bool kept_memory = true;                 // once given back, it stays so until work begins
  bool was_free = false;                   // the last decision found nobody at the machine
  bool paused_by_owner_alone = false;      // in this pause nothing but the owner's command held
  // A reason that holds, or last held within kRepeatWindow.
  struct Hold {
    bool holds = false;
    std::optional<SteadyTime> clear_since;  // still holds, but its cause is gone since then
    SteadyTime released{};                  // when it last stopped holding
    int repeats = 0;  // came back so often soon after a release: settles longer each time
    bool operator==(const Hold&) const = default;
  };
  std::map<Reason, Hold> holds;
  // The owner's pause as first seen, and its end on the steady clock: a wall clock that steps back
  // does not make it longer.
  std::optional<WallTime> pause_end;
  SteadyTime pause_deadline{};
  QuietState quiet;
  bool operator==(const PolicyMemory&) const = default;
};

// Work that has begun goes on down to this much below presence.idle_after, so that a source which
// rounds its times does not make it start and stop. Input sets the idle time to zero and stops work
// at once all the same.
inline constexpr std::chrono::milliseconds kIdleHysteresis{10'000};
// After a pause that came of anything but the owner's command, work waits for this long or for
// presence.idle_after, whichever is shorter.
inline constexpr std::chrono::milliseconds kMinPause{15'000};
// What that guarantees wherever idle_after is kMinPause or more. The owner's `pause` and `resume`
// do not count.
inline constexpr int kMaxStartsPerMinute = 4;

// `memory` is read and brought up to date. Looks at Bounded(signals). While it works, call it at
// every event and every 1 to 2 s; while it does not, at every event and every 5 s.
Decision Decide(const Settings& settings, const Signals& signals, const Moment& now,
                PolicyMemory& memory);

}  // namespace fallow
