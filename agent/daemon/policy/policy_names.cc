// The names of actions and reasons.
#include <array>

#include "agent/daemon/policy/policy.h"

namespace fallow {
namespace {

constexpr std::array<std::string_view, 3> kActions = {"run", "reduce", "pause"};
constexpr std::array<std::string_view, kReasonCount> kReasons = {
    "suspending",      "paused_by_owner", "settings",       "distrusted_source", "unknown_presence",
    "input",           "gamepad",         "remote_session", "game_mode",         "full_screen",
    "idle_inhibitor",  "owner_program",   "schedule",       "battery",           "power_saver",
    "metered_network", "gpu_memory",      "memory",         "gpu_load",          "cpu_load",
    "sensor_lost",     "temperature",     "power_limit",    "quiet_level",       "settling"};

}  // namespace

std::span<const std::string_view> ActionNames() {
  return kActions;
}
std::span<const std::string_view> ReasonNames() {
  return kReasons;
}
std::string_view ActionName(Action action) {
  return kActions[static_cast<std::size_t>(action)];
}
std::string_view ReasonName(Reason reason) {
  return kReasons[static_cast<std::size_t>(reason)];
}
}  // namespace fallow
