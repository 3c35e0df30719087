// A machine that lives wildly: signals, settings and moments from a seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/policy/policy.h"
#include "agent/daemon/policy/schedule.h"
#include "agent/daemon/policy/setting_specs.h"
#include "platform/fake/seeded_random.h"
#include "tests/unit/agent/daemon/policy/machine_world.h"

namespace fallow {

class RandomMachine {
 public:
  explicit RandomMachine(std::uint64_t seed) : random_(seed) {
    settings = LivableSettings();
    world.signals = RandomSignals();
  }

  Settings settings;
  MachineWorld world;  // its moment and signals; its settings are not used

  // Some time passes, and some of what is seen changes.
  void Step() {
    world.Pass(std::chrono::milliseconds(Chance(3) ? Below(200) : Below(15'000)));
    if (Chance(50)) world.now.wall += std::chrono::hours(static_cast<int>(Below(200)) - 100);
    const Signals fresh = RandomSignals();
    if (Chance(20)) world.signals = fresh;
    if (Chance(9)) world.signals.presence = fresh.presence;
    if (Chance(9)) world.signals.session = fresh.session;
    if (Chance(9)) world.signals.cpu = fresh.cpu;
    if (Chance(9)) world.signals.gpus = fresh.gpus;
    if (Chance(4)) world.signals.thermal = fresh.thermal;
    if (Chance(9)) world.signals.paused_until = fresh.paused_until;
    if (Chance(100)) settings = LivableSettings();
  }

  std::uint64_t Below(std::uint64_t end) {
    std::array<std::uint8_t, 8> bytes{};
    random_.Fill(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value % end;
  }
  bool Chance(std::uint64_t one_in) { return Below(one_in) == 0; }
  double Part() { return static_cast<double>(Below(1'000'001)) / 1e6; }

  Settings RandomSettings() {
    Settings made;
    for (const SettingSpec& spec : SettingSpecs()) {
      if (!Chance(8)) continue;
      const double number = spec.min + Part() * (spec.max - spec.min);
      std::visit(
          [&](auto field) {
            using T = std::remove_reference_t<decltype(field(made))>;
            if constexpr (std::is_same_v<T, bool>) {
              field(made) = Chance(2);
            } else if constexpr (std::is_arithmetic_v<T>) {
              field(made) = static_cast<T>(number);
            } else if constexpr (std::is_same_v<T, std::optional<double>>) {
              field(made) = number;
            } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
              field(made) = T(static_cast<std::int64_t>(number / (Chance(2) ? 1000 : 1)) + 1000);
            } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
              field(made) = {"steam", "blender"};
            } else if constexpr (std::is_same_v<T, std::string>) {
              field(made) = spec.words.empty() ? "a \"card\""
                                               : std::string(spec.words[Below(spec.words.size())]);
            } else {
              field(made) = {ParseScheduleSpan("mon-fri 09:00-08:00").value(),
                             ParseScheduleSpan("sat").value()};
            }
          },
          spec.field);
    }
    if (Chance(2)) made.presence.dedicated = false;
    return made;
  }

  // Under which a machine works now and then.
  Settings LivableSettings() {
    Settings made = RandomSettings();
    made.presence.idle_after =
        std::min<std::chrono::milliseconds>(made.presence.idle_after, std::chrono::minutes(5));
    made.load.min_free_memory_mib %= 2048;
    made.load.min_free_gpu_memory_mib %= 1024;
    if (!Chance(4)) made.schedule = {};
    if (Chance(2)) made.quiet.watts_limit.reset();
    made.compute.yield_display_gpu_alone = Chance(2);
    return made;
  }

  // Three in four are calm, so that something happens.
  Signals RandomSignals() {
    Signals made;
    const bool calm = !Chance(4);
    const double load = calm ? 0.15 : 1;
    for (std::uint64_t i = Below(4) + (calm ? 1 : 0); i > 0; --i) {
      made.presence.push_back(
          {.source = "source " + std::to_string(i),
           .known = calm || !Chance(3),
           .idle_for = std::chrono::milliseconds(calm ? (1u << 30) : Below(400'000)),
           .detail = "d\xc3\xa9tail",
           .kind = Chance(200) ? PresenceKind::kDistrusted
                               : static_cast<PresenceKind>(i == 1 ? 0 : Below(3))});
    }
    if (Chance(3)) {
      made.session.push_back({.kind = static_cast<SessionSignalKind>(Below(3)),
                              .source = "bus",
                              .known = !Chance(3),
                              .active = !calm && Chance(2)});
    }
    if (!Chance(5)) made.cpu.foreign_share = load * Part();
    if (!Chance(5)) made.cpu.pressure_share = load * Part();
    if (!Chance(5)) made.cpu.memory_pressure_share = load * Part() * Part();
    if (!Chance(5)) made.cpu.memory_available_bytes = (calm ? 4ull << 30 : 0) + Below(4ull << 30);
    for (std::uint64_t i = Below(3); i > 0; --i) {
      GpuReading gpu = Gpu(Chance(5) ? "" : "0000:0" + std::to_string(i) + ":00.0", Chance(2));
      if (Chance(4)) gpu.drives_display.reset();
      if (Chance(2)) gpu.foreign_busy_share = load * Part();
      if (Chance(4)) gpu.foreign_busy_share.reset();
      gpu.busy_share = Part();
      gpu.memory_used_bytes = Below(calm ? 6ull << 30 : 8ull << 30);
      if (!Chance(4)) gpu.celsius = 30 + (calm ? 30 : 60) * Part();
      if (!Chance(4)) gpu.watts = (calm ? 70 : 250) * Part();
      if (!Chance(4)) gpu.watts_limit = 220;
      made.gpus.push_back(gpu);
    }
    for (std::uint64_t i = Below(3); i > 0; --i) {
      made.thermal.temperatures.push_back(
          Cpu(30 + (calm ? 30 : 60) * Part(), Chance(3) ? std::optional(100.0) : std::nullopt));
    }
    if (Chance(2)) made.thermal.processor_watts = 90 * Part();
    if (calm) return made;
    if (Chance(4)) made.power.on_battery = Chance(2);
    if (Chance(4)) made.power.power_saver = Chance(2);
    if (Chance(4)) made.metered = Chance(2);
    if (Chance(6)) made.owner_programs = {"steam"};
    made.suspending = Chance(10);
    if (Chance(4)) {
      made.paused_until =
          Chance(2) ? kPausedWithoutEnd : world.now.wall + std::chrono::seconds(Below(4000));
    }
    if (Chance(15)) made.settings_trouble = "agent.toml:1:1: trouble";
    return made;
  }

 private:
  SeededRandom random_;
};

}  // namespace fallow
