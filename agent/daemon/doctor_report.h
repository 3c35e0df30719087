// What `fallow-agent doctor` found: each thing that was looked at, how it is, and the way out.
//
// Plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow {

enum class Health : std::uint8_t {
  kGood,
  kNone,     // not there, and nothing is lost by that
  kWarning,  // works, but less well
  kBad,      // the agent cannot work, or not safely
};

struct Finding {
  std::string area;  // "presence", "compute"
  Health health = Health::kGood;
  std::string text;
  std::string way_out;  // empty where there is nothing to do
};

// A sign of use other than input, as its source tells it.
struct ToldSignal {
  std::string source;  // "wayland wayland-0"
  std::string kind;    // a name of kSessionSignalKindNames
  bool known = false;
  bool active = false;
  std::string detail;
};
// With the way out where nobody else tells what this source cannot.
Finding SignalFinding(const ToldSignal& signal);

// A running agent, by its state in a word and its reason, as its status tells them.
Finding AgentFinding(const std::string& state, const std::string& reason);
// What the machine tells a running agent, where a yes stops work; `told`: null if nothing tells.
Finding YesOrNoFinding(std::string area, std::string_view what, std::optional<bool> told,
                       std::string_view who_would_tell);

bool AnyBad(const std::vector<Finding>& findings);
std::string DoctorText(const std::vector<Finding>& findings);
std::string DoctorJson(const std::vector<Finding>& findings);

}  // namespace fallow
