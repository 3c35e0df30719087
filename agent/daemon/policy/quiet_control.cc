#include "agent/daemon/policy/quiet_control.h"

#include <algorithm>
#include <iterator>

namespace fallow {
namespace {

// What the slider's words ask for; in between, values are on the line from one to the next.
struct LevelRow {
  int level;
  double cpu_celsius, gpu_celsius, gpu_power_share, max_share;
};
constexpr LevelRow kLevels[] = {
    {0, 55, 55, 0.35, 0.10},    // silent
    {30, 65, 62, 0.55, 0.45},   // quiet
    {70, 78, 74, 0.80, 1.00},   // balanced
    {100, 90, 83, 1.00, 1.00},  // full
};

// How one limit is held, in °C or in parts of the limit in watts. Heat comes late and its sensors
// tremble; watts follow at once.
struct Tuning {
  bool is_relative;
  double set_below;          // the ceiling: where the value is held
  double smooth_s, slope_s;  // time constants of the filters
  double look_ahead_s;       // acts on where the value will be
  double proportional;       // share per unit
  double integral_per_s;
  double pause_above, far_above, resume_below;  // the ceiling
};
// Stable for bodies that warm by 10 to 30 °C within seconds and by 20 to 60 °C within minutes; see
// the simulated machines of the tests.
constexpr Tuning kHeatTuning = {.is_relative = false,
                                .set_below = 1,
                                .smooth_s = 2,
                                .slope_s = 4,
                                .look_ahead_s = 6,
                                .proportional = 0.03,
                                .integral_per_s = 0.002,
                                .pause_above = kPauseAboveCelsius,
                                .far_above = 10,
                                .resume_below = kResumeBelowCelsius};
constexpr Tuning kWattsTuning = {.is_relative = true,
                                 .set_below = 0.02,
                                 .smooth_s = 1,
                                 .slope_s = 1,
                                 .look_ahead_s = 0,
                                 .proportional = 0.25,
                                 .integral_per_s = 0.15,
                                 .pause_above = 0.1,
                                 .far_above = 1,
                                 .resume_below = 0.1};

constexpr double kRaisePerSecond = 0.03;
constexpr double kLowerPerSecond = 0.25;
constexpr double kMaxStepSeconds = 5;
// Above the ceiling at the least share for so long before a pause; far above it, at once.
constexpr double kOverSeconds = 5;
// A sensor that was there and is gone holds the share down for so long.
constexpr std::chrono::minutes kSensorForgotten{10};

const Tuning& TuningOf(std::size_t limit) {
  return limit == static_cast<std::size_t>(QuietLimit::kCpuHeat) ||
                 limit == static_cast<std::size_t>(QuietLimit::kGpuHeat)
             ? kHeatTuning
             : kWattsTuning;
}

double Seconds(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

// What one loop asks the share to change by; none if it has nothing to say. One that began or was
// away begins anew from what is measured; while its value is away, it asks for no change.
std::optional<double> StepLoop(std::size_t index, const QuietReading::Limit& limit, double seconds,
                               SteadyTime now, QuietState::Loop& loop) {
  if (!limit.in_force) {
    loop = {};
    return std::nullopt;
  }
  if (!limit.value) {
    if (loop.seen && now - loop.read_at > kSensorForgotten) loop = {};
    return loop.seen ? std::optional(0.0) : std::nullopt;
  }
  const Tuning& tuning = TuningOf(index);
  const bool begins = !loop.seen || now - loop.read_at > kSensorGrace;
  if (begins) {
    loop = {.seen = true, .smooth = *limit.value};
  } else {
    const double before = loop.smooth;
    loop.smooth += (*limit.value - loop.smooth) * seconds / (tuning.smooth_s + seconds);
    const double slope = (loop.smooth - before) / seconds;
    loop.slope += (slope - loop.slope) * seconds / (tuning.slope_s + seconds);
  }
  loop.read_at = now;
  loop.ceiling = limit.ceiling;
  const double unit = tuning.is_relative ? limit.ceiling : 1;
  const double ahead = loop.smooth + tuning.look_ahead_s * loop.slope;
  const double error = (limit.ceiling - ahead) / unit - tuning.set_below;
  const double change = begins ? 0 : tuning.proportional * (error - loop.last_error);
  loop.last_error = error;
  return change + tuning.integral_per_s * error * seconds;
}

// How far above its ceiling, in the units of its tuning.
double Above(const Tuning& tuning, const QuietState::Loop& loop) {
  return (loop.smooth - loop.ceiling) / (tuning.is_relative ? loop.ceiling : 1);
}

void CountOver(const Tuning& tuning, bool can_go_lower, double seconds, QuietState::Loop& loop) {
  if (!loop.seen || Above(tuning, loop) <= tuning.pause_above) {
    loop.over_s = 0;
  } else if (!can_go_lower) {
    loop.over_s += seconds;
  }
}

QuietStep Outcome(const QuietState& state, const QuietTargets& targets) {
  QuietStep step{.state = state, .share = std::min(state.share, targets.max_share), .cool = true};
  if (step.share < targets.max_share) step.limited_by = state.limited_by;
  for (std::size_t i = 0; i < kQuietLimitCount; ++i) {
    const QuietState::Loop& loop = state.loops[i];
    if (!loop.seen) continue;
    const Tuning& tuning = TuningOf(i);
    const double above = Above(tuning, loop);
    if (above > -tuning.resume_below) step.cool = false;
    if (loop.over_s < kOverSeconds && above <= tuning.far_above) continue;
    step.share = 0;
    step.limited_by = static_cast<QuietLimit>(i);
  }
  return step;
}

}  // namespace

QuietTargets TargetsOf(const Settings::Quiet& quiet) {
  const int level = std::clamp(quiet.level_percent, 0, 100);
  const LevelRow* above =
      std::ranges::find_if(kLevels, [&](const LevelRow& row) { return row.level >= level; });
  const LevelRow* below = above->level == level ? above : std::prev(above);
  const double part = above == below ? 0
                                     : static_cast<double>(level - below->level) /
                                           static_cast<double>(above->level - below->level);
  const auto between = [&](double LevelRow::*field) {
    return below->*field + part * (above->*field - below->*field);
  };
  return {
      .cpu_ceiling_celsius = quiet.cpu_ceiling_celsius.value_or(between(&LevelRow::cpu_celsius)),
      .gpu_ceiling_celsius = quiet.gpu_ceiling_celsius.value_or(between(&LevelRow::gpu_celsius)),
      .gpu_power_share = quiet.watts_limit ? 1 : between(&LevelRow::gpu_power_share),
      .max_share = between(&LevelRow::max_share),
      .watts_limit = quiet.watts_limit,
      .cpu_ceiling_set = quiet.cpu_ceiling_celsius.has_value(),
      .gpu_ceiling_set = quiet.gpu_ceiling_celsius.has_value()};
}

QuietReading ReadQuiet(const QuietTargets& targets, const Signals& signals) {
  QuietReading reading;
  const auto limit = [&](QuietLimit which) -> QuietReading::Limit& {
    return reading.limits[static_cast<std::size_t>(which)];
  };
  limit(QuietLimit::kCpuHeat).ceiling = targets.cpu_ceiling_celsius;
  limit(QuietLimit::kGpuHeat).ceiling = targets.gpu_ceiling_celsius;
  limit(QuietLimit::kGpuPower).in_force = targets.gpu_power_share < 1;
  limit(QuietLimit::kWatts).in_force = targets.watts_limit.has_value();
  // Of several parts the one nearest its own ceiling, which its critical temperature may lower.
  const auto heat = [&](QuietLimit which, double ceiling, double celsius,
                        std::optional<double> critical) {
    if (critical) ceiling = std::min(ceiling, *critical - kCriticalMarginCelsius);
    QuietReading::Limit& hottest = limit(which);
    if (hottest.value && *hottest.value - hottest.ceiling >= celsius - ceiling) return;
    hottest = {.value = celsius, .ceiling = ceiling};
  };
  for (const Temperature& part : signals.thermal.temperatures) {
    if (part.part == HeatedPart::kProcessor) {
      heat(QuietLimit::kCpuHeat, targets.cpu_ceiling_celsius, part.celsius, part.critical_celsius);
    } else {
      heat(QuietLimit::kGpuHeat, targets.gpu_ceiling_celsius, part.celsius, part.critical_celsius);
    }
  }
  QuietReading::Limit& gpu_power = limit(QuietLimit::kGpuPower);
  std::optional<double> watts = signals.thermal.processor_watts;
  for (const GpuReading& gpu : signals.gpus) {
    if (gpu.celsius)
      heat(QuietLimit::kGpuHeat, targets.gpu_ceiling_celsius, *gpu.celsius, std::nullopt);
    if (!gpu.watts) continue;
    watts = watts.value_or(0) + *gpu.watts;
    if (!gpu.watts_limit || !gpu_power.in_force) continue;
    const double ceiling = *gpu.watts_limit * targets.gpu_power_share;
    if (!gpu_power.value || *gpu.watts - ceiling > *gpu_power.value - gpu_power.ceiling)
      gpu_power = {.value = *gpu.watts, .ceiling = ceiling};
  }
  if (targets.watts_limit)
    limit(QuietLimit::kWatts) = {.value = watts, .ceiling = *targets.watts_limit};
  return reading;
}

QuietStep StepQuiet(const QuietState& state, const QuietTargets& targets,
                    const QuietReading& reading, bool computing, SteadyTime now) {
  const bool first = state.stepped_at == SteadyTime{};
  if (!first && now - state.stepped_at < kQuietPeriod) return Outcome(state, targets);
  QuietState next = state;
  next.stepped_at = now;
  const double seconds = first ? 1 : std::min(Seconds(state.stepped_at, now), kMaxStepSeconds);
  std::optional<double> change;
  for (std::size_t i = 0; i < kQuietLimitCount; ++i) {
    QuietState::Loop& loop = next.loops[i];
    const auto asked = StepLoop(i, reading.limits[i], seconds, now, loop);
    if (asked && (!change || *asked < *change)) {
      change = asked;
      next.limited_by = static_cast<QuietLimit>(i);
    }
  }
  next.share = computing ? std::min(state.share, targets.max_share)
                         : std::min({state.share, kStartShare, targets.max_share});
  if (!change) {
    next.share = targets.max_share;
    next.limited_by.reset();
  } else if (computing) {
    next.share += std::clamp(*change, -kLowerPerSecond * seconds, kRaisePerSecond * seconds);
    next.share = std::clamp(next.share, kMinShare, targets.max_share);
  }
  for (std::size_t i = 0; i < kQuietLimitCount; ++i)
    CountOver(TuningOf(i), computing && next.share > kMinShare, seconds, next.loops[i]);
  return Outcome(next, targets);
}

}  // namespace fallow
