// A machine in the hands of a test: its settings, what is seen of it, and its clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/policy/policy.h"

namespace fallow {

inline PresenceReading Idle(std::string source, std::chrono::milliseconds idle_for,
                            PresenceKind kind = PresenceKind::kInput) {
  return {.source = std::move(source), .known = true, .idle_for = idle_for, .kind = kind};
}
inline PresenceReading Unknown(std::string source, std::string why) {
  return {.source = std::move(source), .detail = std::move(why)};
}
inline SessionSignal Active(SessionSignalKind kind, std::string detail = "") {
  return {
      .kind = kind, .source = "x11 :0", .known = true, .active = true, .detail = std::move(detail)};
}
inline GpuReading Gpu(std::string address, bool drives_display) {
  return {.pci_address = std::move(address),
          .name = "card",
          .drives_display = drives_display,
          .busy_share = 0.0,
          .foreign_busy_share = 0.0,
          .memory_total_bytes = 8ull << 30,
          .memory_used_bytes = 1ull << 30};
}
inline Temperature Cpu(double celsius, std::optional<double> critical = std::nullopt) {
  return {.part = HeatedPart::kProcessor,
          .sensor = "k10temp Tctl",
          .celsius = celsius,
          .critical_celsius = critical};
}

// Nobody has been there for an hour, and nothing is going on. 10 in the morning on a Tuesday, UTC.
struct MachineWorld {
  Settings settings;
  Signals signals;
  Moment now{.steady = SteadyTime{std::chrono::hours(1)},
             .wall = WallTimeFromUnixMs(1'785'232'800'000),  // 2026-07-28 10:00
             .weekday = 1,
             .minute_of_day = 600};
  PolicyMemory memory;

  MachineWorld() {
    signals.presence = {Idle("x11 :0", std::chrono::hours(1))};
    signals.cpu = {.processor_count = 8,
                   .foreign_share = 0.02,
                   .pressure_share = 0.0,
                   .memory_pressure_share = 0.0,
                   .memory_total_bytes = 16ull << 30,
                   .memory_available_bytes = 12ull << 30};
  }

  void Pass(std::chrono::milliseconds time) {
    now.steady += time;
    now.wall += time;
    const auto minutes = std::chrono::floor<std::chrono::minutes>(now.wall.time_since_epoch());
    now.minute_of_day = static_cast<int>(minutes.count() % 1440);
    // 1 January 1970 was a Thursday.
    now.weekday = static_cast<int>((minutes.count() / 1440 + 3) % 7);
  }
  Decision Look() { return Decide(settings, signals, now, memory); }
  Decision After(std::chrono::milliseconds time) {
    Pass(time);
    return Look();
  }
  // A second at a time, as long as it waits; how long it waited, up to an hour.
  std::chrono::seconds UntilItWorks() {
    for (int second = 0; second < 3600; ++second)
      if (After(std::chrono::seconds(1)).action != Action::kPause)
        return std::chrono::seconds(second + 1);
    return std::chrono::hours(1);
  }
};

inline bool Holds(const Decision& decision, Reason reason) {
  for (const ReasonText& held : decision.reasons)
    if (held.reason == reason) return true;
  return false;
}
inline std::string TextOf(const Decision& decision, Reason reason) {
  for (const ReasonText& held : decision.reasons)
    if (held.reason == reason) return held.text;
  return "";
}

}  // namespace fallow
