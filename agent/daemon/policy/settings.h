// The owner's settings: agent.toml, checked.
//
// One table (setting_specs.h) says each setting's key, unit, range, default and meaning; the reader
// and the writer (settings_file.h), `fallow-agent limits` (settings_table.h), the documented
// default file and docs/SETTINGS.md all follow it. Defaults are the values below. Plain values.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow {

struct Settings {
  struct Presence {
    std::chrono::milliseconds idle_after{180'000};
    // A machine without an owner: neither presence nor session signals nor others' load count.
    bool dedicated = false;
    bool full_screen = true, game_mode = true, idle_inhibitors = true;  // whether they count as use
    std::vector<std::string> owner_programs;  // presence.programs: while one runs, it is in use
    bool operator==(const Presence&) const = default;
  } presence;

  struct Load {
    double foreign_cpu_percent = 25;  // of all processors; 100: never a reason
    double foreign_gpu_percent = 20;
    double cpu_pressure_percent = 40;  // PSI "some" of the last 10 s
    std::uint64_t min_free_memory_mib = 1024;
    std::uint64_t min_free_gpu_memory_mib = 512;
    bool operator==(const Load&) const = default;
  } load;

  struct Power {
    bool on_battery = false;      // whether to work on battery
    bool on_power_saver = false;  // whether to work when the owner chose to save power
    bool on_metered_network = false;
    bool operator==(const Power&) const = default;
  } power;

  struct Quiet {
    int level_percent = 70;  // quiet.level: 0 silent … 100 full
    // What the level gives unless set; see TargetsOf.
    std::optional<double> cpu_ceiling_celsius, gpu_ceiling_celsius, watts_limit;
    bool operator==(const Quiet&) const = default;
  } quiet;

  struct Schedule {
    // On these days, from `from_minute` to `to_minute` of the day; past midnight if to <= from.
    struct Span {
      std::array<bool, 7> days{};  // Monday first
      int from_minute = 0, to_minute = 1440;
      bool operator==(const Span&) const = default;
    };
    std::vector<Span> allowed;  // none: always
    bool operator==(const Schedule&) const = default;
  } schedule;

  struct Limits {
    std::uint64_t memory_mib = 0;      // of the machine's memory for models; 0: as much as fits
    std::uint64_t gpu_memory_mib = 0;  // likewise
    double disk_gib = 50;              // models kept
    std::uint64_t download_kib_s = 0, upload_kib_s = 0;  // 0: no limit
    bool operator==(const Limits&) const = default;
  } limits;

  struct Compute {
    std::string backend = "auto";
    std::string device;
    std::uint32_t threads = 0;
    std::uint32_t max_sequences = 32;
    std::chrono::milliseconds keep_model_for{600'000};  // in memory while the owner is there
    bool yield_display_gpu_alone = false;  // on a machine with several GPUs the others go on
    bool operator==(const Compute&) const = default;
  } compute;

  bool operator==(const Settings&) const = default;
};

}  // namespace fallow
