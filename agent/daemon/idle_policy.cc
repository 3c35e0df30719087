#include "agent/daemon/idle_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace fallow {
namespace {

std::string WhyNobodyCanTell(std::span<const PresenceReading> readings) {
  if (readings.empty())
    return "no source tells whether somebody is at this machine; counted as in use";
  std::string why = "nothing tells whether somebody is at this machine; counted as in use (";
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (i > 0) why += "; ";
    why += fmt::format("{}: {}", readings[i].source, readings[i].detail);
  }
  return why + ")";
}

}  // namespace

std::string ShortDuration(std::chrono::milliseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

IdleDecision DecideIdle(const IdleSettings& settings, std::span<const PresenceReading> readings,
                        bool running) {
  if (settings.dedicated) return {true, "this machine is dedicated to work"};
  const PresenceReading* least = nullptr;
  for (const PresenceReading& reading : readings) {
    if (reading.known && (least == nullptr || reading.idle_for < least->idle_for)) least = &reading;
  }
  if (least == nullptr) return {false, WhyNobodyCanTell(readings)};
  const auto slack =
      running ? std::min(kIdleHysteresis, settings.idle_after / 2) : std::chrono::milliseconds(0);
  const std::string idle = ShortDuration(least->idle_for);
  if (least->idle_for >= settings.idle_after - slack) {
    return {true, fmt::format("no input for {} ({})", idle, least->source)};
  }
  return {false, fmt::format("input {} ago ({}); free after {} without", idle, least->source,
                             ShortDuration(settings.idle_after))};
}

}  // namespace fallow
