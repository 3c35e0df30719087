// What `fallow-agent doctor` found: each thing that was looked at, how it is, and the way out.
//
// Plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
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

bool AnyBad(const std::vector<Finding>& findings);
std::string DoctorText(const std::vector<Finding>& findings);
std::string DoctorJson(const std::vector<Finding>& findings);

}  // namespace fallow
