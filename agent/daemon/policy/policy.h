// The policy: whether this machine works now, how hard, and why.
//
// One pure function of signals, settings, the moment and what was decided before. "In use" is the
// default: whatever cannot be told about presence counts as use. docs/POLICY.md has the table of
// reasons.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/settings.h"
#include "agent/daemon/policy/signals.h"
#include "base/clock.h"

namespace fallow {

enum class Action : std::uint8_t {
  kRun,
  kReduce,  // works at the share of time that `share` says
  kPause,
};

// Why not, or not fully. The names are what owners, logs and the coordinator see.
enum class Reason : std::uint8_t {
  kInput,
  kGamepad,
  kRemoteSession,
  kDistrustedSource,  // a source that is silent, floods or lies
  kUnknownPresence,   // nothing tells whether somebody is there
  kFullScreen,
  kGameMode,
  kIdleInhibitor,
  kGpuLoad,
  kGpuMemory,  // others want the GPU's memory
  kCpuLoad,
  kMemory,  // others want the machine's memory
  kOwnerProgram,
  kBattery,
  kPowerSaver,
  kMeteredNetwork,
  kTemperature,
  kSensorLost,  // a ceiling is set, and nothing tells the temperature any more
  kSchedule,
  kPausedByOwner,
  kSuspending,
  kSettings,  // the settings file cannot be followed
};
std::string_view ReasonName(Reason reason);  // "full_screen"

struct ReasonText {
  Reason reason = Reason::kInput;
  std::string
      text;  // with what was seen and its threshold: "input 3 s ago (x11 :0); free after 3 min"
  bool operator==(const ReasonText&) const = default;
};

struct Decision {
  Action action = Action::kPause;
  double share = 0;                 // of time to compute: 1 at kRun, 0 at kPause
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
  SteadyTime paused_since{};
  bool kept_memory = true;
  // When each reason last held: it must be gone for its settling time before work begins again.
  std::map<Reason, SteadyTime> last_held;
  bool operator==(const PolicyMemory&) const = default;
};

// `memory` is read and brought up to date.
Decision Decide(const Settings& settings, const Signals& signals, const Moment& now,
                PolicyMemory& memory);

}  // namespace fallow
