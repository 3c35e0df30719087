// What the machine is busy with, lives on and how warm it is.
#include <fmt/format.h>

#include <algorithm>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/policy_rules.h"

namespace fallow {
namespace {

constexpr std::uint64_t kMib = 1 << 20;

// At `high` and above it is there, at `low` and below it is not.
Seen Above(double value, double low, double high) {
  return value >= high ? Seen::kThere : value <= low ? Seen::kNot : Seen::kBetween;
}
Seen Below(double value, double low, double high) {
  return value < low ? Seen::kThere : value >= high ? Seen::kNot : Seen::kBetween;
}

std::string GpuName(const GpuReading& gpu) {
  if (gpu.name.empty()) return gpu.pci_address.empty() ? "a GPU" : gpu.pci_address;
  return gpu.name;
}

Sign CpuSign(const Settings& settings, const CpuReading& cpu, bool own_work) {
  Sign sign{.reason = Reason::kCpuLoad, .settles = kLoadSettles};
  sign.text = "the processors are free enough for work";
  const double limit = settings.load.foreign_cpu_percent;
  const double pressure_limit = settings.load.cpu_pressure_percent;
  sign.counts = limit < 100 || pressure_limit < 100;
  if (cpu.foreign_share && limit < 100) {
    const double percent = *cpu.foreign_share * 100;
    sign.seen = Above(percent, limit * kLoadRelease, limit);
    sign.text = fmt::format(
        "other programs use {:.0f} % of the processors; work waits above {:g} %", percent, limit);
    sign.way_out = fmt::format("below {:g} % for {}, or a higher load.foreign_cpu_percent",
                               limit * kLoadRelease, ShortDuration(kLoadSettles));
  }
  // While our own work waits for a processor, the pressure is ours too: it proves nothing then.
  const bool pressure_counts = !own_work || !cpu.foreign_share;
  if (!cpu.pressure_share || pressure_limit >= 100 || !pressure_counts) return sign;
  const double percent = *cpu.pressure_share * 100;
  const Seen pressure = Above(percent, pressure_limit * kLoadRelease, pressure_limit);
  if (pressure <= sign.seen) return sign;
  sign.seen = pressure;
  sign.text = fmt::format(
      "programs waited for a processor {:.0f} % of the last 10 s; work waits above {:g} %", percent,
      pressure_limit);
  sign.way_out = fmt::format("below {:g} % for {}, or a higher load.cpu_pressure_percent",
                             pressure_limit * kLoadRelease, ShortDuration(kLoadSettles));
  return sign;
}

Sign MemorySign(const Settings& settings, const CpuReading& cpu) {
  Sign sign{.reason = Reason::kMemory, .settles = kMemorySettles};
  sign.text = "there is memory enough for other programs";
  const auto min_mib = static_cast<double>(settings.load.min_free_memory_mib);
  if (cpu.memory_available_bytes && min_mib > 0) {
    const double free_mib = static_cast<double>(*cpu.memory_available_bytes) / kMib;
    sign.seen = Below(free_mib, min_mib, min_mib * kMemoryRelease);
    sign.text = fmt::format("{:.0f} MiB of memory are free; work waits below {:.0f} MiB", free_mib,
                            min_mib);
    sign.way_out = fmt::format("{:.0f} MiB free for {}, or a lower load.min_free_memory_mib",
                               min_mib * kMemoryRelease, ShortDuration(kMemorySettles));
  }
  if (!cpu.memory_pressure_share) return sign;
  const Seen pressure =
      Above(*cpu.memory_pressure_share, kMemoryPressureShare / 2, kMemoryPressureShare);
  if (pressure <= sign.seen) return sign;
  sign.seen = pressure;
  sign.text =
      fmt::format("programs waited for memory {:.0f} % of the last 10 s; work waits above {:.0f} %",
                  *cpu.memory_pressure_share * 100, kMemoryPressureShare * 100);
  sign.way_out = fmt::format("below {:.0f} % for {}", kMemoryPressureShare * 50,
                             ShortDuration(kMemorySettles));
  return sign;
}

// The share of others; of a sensor that does not divide it, all of it while nothing of ours runs.
std::optional<double> ForeignShare(const GpuReading& gpu, bool own_work) {
  if (gpu.foreign_busy_share) return gpu.foreign_busy_share;
  return own_work ? std::nullopt : gpu.busy_share;
}

Sign GpuLoadSign(const Settings& settings, const std::vector<GpuReading>& gpus, bool own_work) {
  Sign sign{.reason = Reason::kGpuLoad, .settles = kLoadSettles};
  sign.text = "other programs leave the GPU alone";
  const double limit = settings.load.foreign_gpu_percent;
  sign.counts = limit < 100;
  double most = -1;
  for (const GpuReading& gpu : gpus) {
    const auto share = ForeignShare(gpu, own_work);
    if (!share || limit >= 100 || *share <= most) continue;
    most = *share;
    sign.seen = Above(most * 100, limit * kLoadRelease, limit);
    sign.text = fmt::format("other programs use {:.0f} % of {}; work waits above {:g} %",
                            most * 100, GpuName(gpu), limit);
    sign.way_out = fmt::format("below {:g} % for {}, or a higher load.foreign_gpu_percent",
                               limit * kLoadRelease, ShortDuration(kLoadSettles));
  }
  return sign;
}

Sign GpuMemorySign(const Settings& settings, const std::vector<GpuReading>& gpus) {
  Sign sign{.reason = Reason::kGpuMemory, .settles = kMemorySettles};
  sign.text = "there is GPU memory enough for other programs";
  const auto min_mib = static_cast<double>(settings.load.min_free_gpu_memory_mib);
  sign.counts = min_mib > 0;
  for (const GpuReading& gpu : gpus) {
    if (!gpu.memory_total_bytes || !gpu.memory_used_bytes || min_mib <= 0) continue;
    const auto total_mib = static_cast<double>(*gpu.memory_total_bytes) / kMib;
    const auto used_mib = static_cast<double>(*gpu.memory_used_bytes) / kMib;
    // A GPU too small to leave that much free is not judged by it.
    if (total_mib < 2 * min_mib) continue;
    const double free_mib = std::max(0.0, total_mib - used_mib);
    const Seen seen = Below(free_mib, min_mib, min_mib * kMemoryRelease);
    if (seen <= sign.seen) continue;
    sign.seen = seen;
    sign.text = fmt::format("{:.0f} MiB of {}'s memory are free; work waits below {:.0f} MiB",
                            free_mib, GpuName(gpu), min_mib);
    sign.way_out = fmt::format("{:.0f} MiB free for {}, or a lower load.min_free_gpu_memory_mib",
                               min_mib * kMemoryRelease, ShortDuration(kMemorySettles));
  }
  return sign;
}

Sign PowerSign(Reason reason, bool allowed, bool there, std::string_view text,
               std::string_view gone, std::string_view way_out) {
  return {.reason = reason,
          .seen = there ? Seen::kThere : Seen::kNot,
          .text = std::string(there ? text : gone),
          .way_out = std::string(way_out),
          .settles = kPowerSettles,
          .counts = !allowed};
}

bool IsHeat(QuietLimit limit) {
  return limit == QuietLimit::kCpuHeat || limit == QuietLimit::kGpuHeat;
}

// Heat or watts that even the least share does not hold.
Sign OverSign(Reason reason, const QuietStep& step, bool heat) {
  Sign sign{.reason = reason, .settles = kHeatSettles};
  sign.seen = step.cool ? Seen::kNot : Seen::kBetween;
  if (step.share == 0 && step.limited_by && IsHeat(*step.limited_by) == heat)
    sign.seen = Seen::kThere;
  const QuietLimit limit =
      step.limited_by.value_or(heat ? QuietLimit::kCpuHeat : QuietLimit::kWatts);
  sign.text = HeldText(step, limit);
  sign.way_out = heat ? fmt::format("{:.0f} °C below the ceiling for {}, or a higher quiet.level",
                                    kResumeBelowCelsius, ShortDuration(kHeatSettles))
                      : fmt::format("a tenth below the limit for {}, or a higher quiet.watts_limit",
                                    ShortDuration(kHeatSettles));
  return sign;
}

bool IsLost(const QuietStep& step, QuietLimit limit, SteadyTime now) {
  const QuietState::Loop& loop = step.state.loops[static_cast<std::size_t>(limit)];
  return !loop.seen || now - loop.read_at > kSensorGrace;
}

// A ceiling that the owner set needs its sensor. GPUs need one only where there is a GPU.
Sign SensorSign(const Settings& settings, const Signals& signals, const QuietTargets& targets,
                const QuietStep& step, SteadyTime now) {
  Sign sign{.reason = Reason::kSensorLost, .settles = kSensorSettles};
  sign.text = "the sensor is back";
  sign.counts = targets.cpu_ceiling_set || targets.gpu_ceiling_set || targets.watts_limit;
  const bool has_gpu = settings.compute.backend != "cpu" && !signals.gpus.empty();
  std::string setting;
  if (targets.cpu_ceiling_set && IsLost(step, QuietLimit::kCpuHeat, now))
    setting = "quiet.cpu_ceiling_celsius";
  else if (targets.gpu_ceiling_set && has_gpu && IsLost(step, QuietLimit::kGpuHeat, now))
    setting = "quiet.gpu_ceiling_celsius";
  else if (targets.watts_limit && IsLost(step, QuietLimit::kWatts, now))
    setting = "quiet.watts_limit";
  if (setting.empty()) return sign;
  sign.seen = Seen::kThere;
  const std::string trouble =
      signals.thermal.troubles.empty() ? "" : fmt::format(" ({})", signals.thermal.troubles[0]);
  sign.text = fmt::format("{} is set, and no sensor has told it for {}{}", setting,
                          ShortDuration(kSensorGrace), trouble);
  sign.way_out = fmt::format("the sensor answers for {}, or {} is unset",
                             ShortDuration(kSensorSettles), setting);
  return sign;
}

}  // namespace

std::vector<Sign> LoadSigns(const Settings& settings, const Signals& signals,
                            const std::vector<GpuReading>& gpus, bool own_work) {
  std::vector<Sign> signs = {GpuMemorySign(settings, gpus), MemorySign(settings, signals.cpu)};
  if (settings.presence.dedicated) return signs;
  signs.push_back(GpuLoadSign(settings, gpus, own_work));
  signs.push_back(CpuSign(settings, signals.cpu, own_work));
  return signs;
}

std::vector<Sign> PowerSigns(const Settings& settings, const Signals& signals) {
  const PowerReading& power = signals.power;
  const std::string charge =
      power.charge_percent ? fmt::format(", {} % left", *power.charge_percent) : "";
  return {
      PowerSign(Reason::kBattery, settings.power.on_battery, power.on_battery.value_or(false),
                fmt::format("on battery{}", charge), "no longer on battery",
                "mains power for 60 s, or power.on_battery = true"),
      PowerSign(Reason::kPowerSaver, settings.power.on_power_saver,
                power.power_saver.value_or(false), "the machine is set to save power",
                "no longer set to save power",
                "another power mode for 60 s, or power.on_power_saver = true"),
      PowerSign(Reason::kMeteredNetwork, settings.power.on_metered_network,
                signals.metered.value_or(false), "the network is paid by volume",
                "the network is no longer paid by volume",
                "another network for 60 s, or power.on_metered_network = true"),
  };
}

std::vector<Sign> QuietSigns(const Settings& settings, const Signals& signals,
                             const QuietTargets& targets, const QuietStep& step, SteadyTime now) {
  return {SensorSign(settings, signals, targets, step, now),
          OverSign(Reason::kTemperature, step, true), OverSign(Reason::kPowerLimit, step, false)};
}

std::string HeldText(const QuietStep& step, QuietLimit limit) {
  const QuietState::Loop& loop = step.state.loops[static_cast<std::size_t>(limit)];
  switch (limit) {
    case QuietLimit::kCpuHeat:
      return fmt::format("processor at {:.0f} °C, held at or below {:.0f} °C", loop.smooth,
                         loop.ceiling);
    case QuietLimit::kGpuHeat:
      return fmt::format("GPU at {:.0f} °C, held at or below {:.0f} °C", loop.smooth, loop.ceiling);
    case QuietLimit::kWatts:
      return fmt::format("processors and GPUs draw {:.0f} W, held at or below {:.0f} W",
                         loop.smooth, loop.ceiling);
    case QuietLimit::kGpuPower:
      return fmt::format("GPU draws {:.0f} W, held at or below {:.0f} W", loop.smooth,
                         loop.ceiling);
  }
  return "";
}

std::vector<GpuReading> GpusWithoutDisplay(const Signals& signals) {
  std::vector<GpuReading> gpus;
  for (const GpuReading& gpu : signals.gpus)
    if (!gpu.pci_address.empty() && gpu.drives_display == false) gpus.push_back(gpu);
  return gpus;
}

}  // namespace fallow
