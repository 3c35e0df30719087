// Quiet mode on simulated machines: the temperature stays at its ceiling while rooms and loads
// step.
#include "agent/daemon/policy/quiet_control.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/agent/daemon/policy/thermal_machine.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

struct Trial {
  const char* name;
  ThermalBody body;
  double ceiling_celsius;
  double foreign_watts;  // of others, for a while
  int period_s;          // of the sensor and the loop
};
void PrintTo(const Trial& trial, std::ostream* out) {
  *out << trial.name;
}

struct Trace {
  double highest = -1e9;                          // ever
  double settled_low = 1e9, settled_high = -1e9;  // from 5 min after each step on
  double share_low = 1, share_high = 0;
  bool paused = false;
};

constexpr int kStepEvery = 1200;
constexpr int kSettled = 300;

// 40 min in a room of 18 °C, then 30 °C, then 22 °C; then others load the machine, then not.
Trace RunTrial(const Trial& trial) {
  ThermalMachine machine(trial.body, 18);
  const QuietTargets targets{.cpu_ceiling_celsius = trial.ceiling_celsius,
                             .gpu_ceiling_celsius = trial.ceiling_celsius};
  QuietState state;
  SteadyTime now{1h};
  double share = state.share;
  Trace trace;
  for (int second = 0; second < 6 * kStepEvery; second += trial.period_s) {
    const int phase = second / kStepEvery;
    machine.set_room(phase < 2 ? 18 : phase == 2 ? 30 : 22);
    machine.set_foreign_watts(phase == 4 ? trial.foreign_watts : 0);
    machine.Run(trial.period_s, share);
    now += std::chrono::seconds(trial.period_s);
    QuietReading reading;
    // Now and then the sensor does not answer for some seconds.
    if (second % 97 >= 5) reading.limits[0].value = machine.Sensor();
    reading.limits[0].ceiling = trial.ceiling_celsius;
    const QuietStep step = StepQuiet(state, targets, reading, share > 0, now);
    state = step.state;
    share = step.share;
    trace.paused = trace.paused || share == 0;
    trace.highest = std::max(trace.highest, machine.celsius());
    const bool settled = phase == 0 ? second > 2 * kSettled : second % kStepEvery >= kSettled;
    // In phase 1 nothing steps: it goes on from phase 0.
    if (!settled && phase != 1) continue;
    // At full share there is nothing to hold.
    if (share < 1) trace.settled_low = std::min(trace.settled_low, machine.celsius());
    trace.settled_high = std::max(trace.settled_high, machine.celsius());
    trace.share_low = std::min(trace.share_low, share);
    trace.share_high = std::max(trace.share_high, share);
  }
  return trace;
}

class QuietMachine : public testing::TestWithParam<Trial> {};

TEST_P(QuietMachine, IsHeldWithinTwoDegreesOfItsCeiling) {
  const Trial& trial = GetParam();
  const Trace trace = RunTrial(trial);
  const double ceiling = trial.ceiling_celsius;
  fmt::print(
      "{}, ceiling {} °C, every {} s: highest {:+.2f} °C, settled {:+.2f} to {:+.2f} °C, share "
      "{:.2f} to {:.2f}\n",
      trial.name, ceiling, trial.period_s, trace.highest - ceiling, trace.settled_low - ceiling,
      trace.settled_high - ceiling, trace.share_low, trace.share_high);
  EXPECT_LE(trace.highest, ceiling + 2);
  EXPECT_GE(trace.settled_low, ceiling - 2);
  EXPECT_LE(trace.settled_high, ceiling + 2);
  EXPECT_LT(trace.share_low, 0.9) << "nothing had to be held";
  EXPECT_FALSE(trace.paused);
}

// A thin laptop under a heavy load, and a small computer without a fan.
constexpr ThermalBody kHotLaptop = {5, 60, 8, 100, 0.6, 1.6, 1.2};
constexpr ThermalBody kFanless = {2, 9, 5, 60, 0.8, 3.5, 0};

INSTANTIATE_TEST_SUITE_P(Machines, QuietMachine,
                         testing::Values(Trial{"laptop", kLaptop, 70, 3.5, 1},
                                         Trial{"laptop, slowly", kLaptop, 60, 5, 2},
                                         Trial{"tower", kTower, 65, 12, 1},
                                         Trial{"tower, slowly", kTower, 55, 20, 2},
                                         Trial{"graphics card", kGraphicsCard, 68, 20, 1},
                                         Trial{"graphics card, slowly", kGraphicsCard, 55, 30, 2},
                                         Trial{"hot laptop", kHotLaptop, 75, 6, 1},
                                         Trial{"fanless", kFanless, 58, 1, 2}));

TEST(QuietControl, MachinesUnheldWouldBeTooHot) {
  for (const auto& [body, ceiling] :
       {std::pair{kLaptop, 70.0}, {kTower, 65.0}, {kGraphicsCard, 68.0}}) {
    ThermalMachine machine(body, 22);
    machine.Run(7200, 1);
    EXPECT_GT(machine.celsius(), ceiling + 2);
  }
}

TEST(QuietControl, WattsAreHeldAtTheirLimit) {
  // A GPU that draws 20 to 240 W by the share, seen as the mean of the last second.
  const QuietTargets targets{.watts_limit = 120};
  QuietState state;
  SteadyTime now{1h};
  double share = state.share, seen = 20, highest = 0, low = 1e9;
  for (int second = 0; second < 600; ++second) {
    const double others = second >= 300 ? 30 : 0;
    seen += (20 + others + 220 * share - seen) * 0.6;
    now += 1s;
    QuietReading reading;
    reading.limits[static_cast<std::size_t>(QuietLimit::kWatts)] = {.value = seen, .ceiling = 120};
    const QuietStep step = StepQuiet(state, targets, reading, share > 0, now);
    state = step.state;
    share = step.share;
    ASSERT_GT(share, 0);
    if (second > 60 && (second < 300 || second > 330)) {
      highest = std::max(highest, seen);
      low = std::min(low, seen);
    }
  }
  fmt::print("watts limit 120 W: settled {:.1f} to {:.1f} W\n", low, highest);
  EXPECT_LE(highest, 120);
  EXPECT_GE(low, 110);
}

TEST(QuietControl, TheTightestLimitWinsAndNoneWindsUp) {
  const QuietTargets targets{.cpu_ceiling_celsius = 80, .gpu_ceiling_celsius = 70};
  QuietState state;
  SteadyTime now{1h};
  QuietReading reading;
  reading.limits[0].ceiling = 80;
  reading.limits[1].ceiling = 70;
  const auto run = [&](int seconds, double cpu, double gpu) {
    double share = 0;
    for (int i = 0; i < seconds; ++i) {
      now += 1s;
      reading.limits[0].value = cpu;
      reading.limits[1].value = gpu;
      const QuietStep step = StepQuiet(state, targets, reading, true, now);
      state = step.state;
      share = step.share;
    }
    return share;
  };
  EXPECT_EQ(run(60, 50, 40), 1);
  EXPECT_LT(run(120, 50, 72), 0.6);
  EXPECT_EQ(state.limited_by, QuietLimit::kGpuHeat);
  // An hour far below the ceiling leaves no store of good will.
  run(3600, 50, 40);
  EXPECT_LT(run(10, 50, 73), 0.95);
  EXPECT_LT(run(120, 83, 40), 0.6);
  EXPECT_EQ(state.limited_by, QuietLimit::kCpuHeat);
}

TEST(QuietControl, StepsCloserThanItsPeriodChangeNothing) {
  const QuietTargets targets{.cpu_ceiling_celsius = 80};
  QuietReading reading;
  reading.limits[0] = {.value = 60, .ceiling = 80};
  QuietState state = StepQuiet({}, targets, reading, true, SteadyTime{1h}).state;
  for (int i = 1; i < 1000; ++i) {
    const QuietStep step =
        StepQuiet(state, targets, reading, true, SteadyTime{1h + std::chrono::milliseconds(i)});
    ASSERT_EQ(step.state, state);
  }
  EXPECT_NE(StepQuiet(state, targets, reading, true, SteadyTime{1h + 1s}).state, state);
}

TEST(QuietControl, TheShareStaysBetweenItsLeastAndTheLevels) {
  QuietState state;
  SteadyTime now{1h};
  const QuietTargets targets{.cpu_ceiling_celsius = 80, .max_share = 0.45};
  for (const double celsius : {20.0, 200.0, -300.0, 80.0, 1e9, 0.0}) {
    for (int i = 0; i < 50; ++i) {
      now += 2s;
      QuietReading reading;
      reading.limits[0] = {.value = celsius, .ceiling = 80};
      const QuietStep step = StepQuiet(state, targets, reading, true, now);
      state = step.state;
      EXPECT_TRUE(step.share == 0 || (step.share >= kMinShare && step.share <= 0.45)) << step.share;
    }
  }
}

TEST(QuietTargets, TheSliderGoesFromSilentToFull) {
  const auto at = [](int level) { return TargetsOf({.level_percent = level}); };
  EXPECT_EQ(at(0), (QuietTargets{.cpu_ceiling_celsius = 55,
                                 .gpu_ceiling_celsius = 55,
                                 .gpu_power_share = 0.35,
                                 .max_share = 0.10}));
  EXPECT_EQ(at(30).cpu_ceiling_celsius, 65);
  EXPECT_EQ(at(70).max_share, 1);
  EXPECT_EQ(at(100).gpu_power_share, 1);
  for (int level = 1; level <= 100; ++level) {
    EXPECT_GT(at(level).cpu_ceiling_celsius, at(level - 1).cpu_ceiling_celsius);
    EXPECT_GT(at(level).gpu_ceiling_celsius, at(level - 1).gpu_ceiling_celsius);
    EXPECT_GT(at(level).gpu_power_share, at(level - 1).gpu_power_share);
    EXPECT_GE(at(level).max_share, at(level - 1).max_share);
  }
  EXPECT_DOUBLE_EQ(at(50).cpu_ceiling_celsius, 71.5);
}

TEST(QuietTargets, WhatTheOwnerSetOverridesTheLevel) {
  const QuietTargets targets =
      TargetsOf({.level_percent = 0, .cpu_ceiling_celsius = 88, .watts_limit = 50});
  EXPECT_EQ(targets.cpu_ceiling_celsius, 88);
  EXPECT_TRUE(targets.cpu_ceiling_set);
  EXPECT_FALSE(targets.gpu_ceiling_set);
  EXPECT_EQ(targets.watts_limit, 50);
  EXPECT_EQ(targets.gpu_power_share, 1);
}

}  // namespace
}  // namespace fallow
