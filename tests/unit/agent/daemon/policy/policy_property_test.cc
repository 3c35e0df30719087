// What holds of every decision, whatever the machine goes through: thousands of random days.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "agent/daemon/policy/policy.h"
#include "agent/daemon/policy/settings_file.h"
#include "tests/unit/agent/daemon/policy/random_signals.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

constexpr int kSeeds = 60;
constexpr int kSteps = 1500;

bool CountsAsUse(const Settings::Presence& presence, SessionSignalKind kind) {
  switch (kind) {
    case SessionSignalKind::kFullScreen:
      return presence.full_screen;
    case SessionSignalKind::kGameMode:
      return presence.game_mode;
    case SessionSignalKind::kIdleInhibitor:
      return presence.idle_inhibitors;
  }
  return true;
}

bool IsUsed(const Settings& settings, const Signals& signals) {
  if (settings.presence.dedicated) return false;
  if (!signals.owner_programs.empty()) return true;
  for (const SessionSignal& signal : signals.session)
    if (signal.known && signal.active && CountsAsUse(settings.presence, signal.kind)) return true;
  bool told = false;
  for (const PresenceReading& reading : signals.presence) {
    if (reading.kind == PresenceKind::kDistrusted) return true;
    if (!reading.known) continue;
    // Half a threshold below is beyond every slack.
    const auto slack = std::min(kIdleHysteresis, settings.presence.idle_after / 2);
    if (reading.idle_for < settings.presence.idle_after - slack) return true;
    told = told || reading.kind != PresenceKind::kGamepad;
  }
  return !told;
}

bool DrivesNoDisplay(const Signals& signals, const std::string& address) {
  return std::ranges::any_of(signals.gpus, [&](const GpuReading& gpu) {
    return gpu.pci_address == address && gpu.drives_display == false;
  });
}

TEST(PolicyProperties, NeverWorksWhileTheMachineIsInUse) {
  int used = 0, worked = 0, on_second_gpu = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed));
    PolicyMemory memory;
    for (int step = 0; step < kSteps; ++step) {
      machine.Step();
      const Signals& signals = machine.world.signals;
      const Decision decision = Decide(machine.settings, signals, machine.world.now, memory);
      worked += decision.action != Action::kPause;
      ASSERT_TRUE(signals.machine_read || decision.action == Action::kPause) << "seed " << seed;
      if (!IsUsed(machine.settings, signals)) continue;
      ++used;
      if (decision.action == Action::kPause) continue;
      ++on_second_gpu;
      ASSERT_TRUE(machine.settings.compute.yield_display_gpu_alone) << "seed " << seed;
      ASSERT_NE(machine.settings.compute.backend, "cpu");
      ASSERT_FALSE(decision.only_gpus.empty()) << "seed " << seed;
      for (const std::string& gpu : decision.only_gpus) ASSERT_TRUE(DrivesNoDisplay(signals, gpu));
    }
  }
  // The days were worth looking at.
  EXPECT_GT(used, 10'000);
  EXPECT_GT(worked, 500);
  EXPECT_GT(on_second_gpu, 20);
}

TEST(PolicyProperties, NeverStartsMoreOftenThanItPromises) {
  int starts_in_all = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed) + 1000);
    PolicyMemory memory;
    std::deque<SteadyTime> starts;
    Action before = Action::kRun;
    for (int step = 0; step < kSteps; ++step) {
      machine.Step();
      machine.settings.presence.idle_after =
          std::max(machine.settings.presence.idle_after, kMinPause);
      const bool by_command = memory.paused_by_owner_alone;
      const Decision decision =
          Decide(machine.settings, machine.world.signals, machine.world.now, memory);
      if (before == Action::kPause && decision.action != Action::kPause && !by_command) {
        starts.push_back(machine.world.now.steady);
        ++starts_in_all;
        while (starts.front() <= machine.world.now.steady - 60s) starts.pop_front();
        ASSERT_LE(starts.size(), static_cast<std::size_t>(kMaxStartsPerMinute)) << "seed " << seed;
      }
      before = decision.action;
    }
  }
  EXPECT_GT(starts_in_all, 100);
}

// One cause that comes and goes as fast as it can, alone: the worst a sensor can do.
TEST(PolicyProperties, AFlappingSourceDoesNotMakeTheWorkFlap) {
  for (int source = 0; source < 6; ++source) {
    MachineWorld machine;
    machine.settings.presence.idle_after = kMinPause;
    int starts = 0;
    Action before = machine.Look().action;
    for (int tick = 0; tick < 6000; ++tick) {  // ten minutes
      const bool on = tick % 2 == 0;
      Signals& signals = machine.signals;
      if (source == 0) signals.suspending = on;
      if (source == 1) signals.presence = {Idle("x11", on ? 0s : 1h)};
      if (source == 2) signals.cpu.foreign_share = on ? 1 : 0;
      if (source == 3) signals.settings_trouble = on ? "x" : "";
      if (source == 4)
        signals.presence = on ? std::vector<PresenceReading>{} : std::vector{Idle("x11", 1h)};
      if (source == 5) signals.power.on_battery = on;
      const Action action = machine.After(100ms).action;
      starts += before == Action::kPause && action != Action::kPause;
      before = action;
      ASSERT_TRUE(!on || action == Action::kPause);
    }
    EXPECT_LE(starts, 10 * kMaxStartsPerMinute) << source;
  }
}

// The wall clock may say what it likes: it moves the schedule and the end of a pause, no more.
TEST(PolicyProperties, DoesNotDependOnTheWallClock) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed) + 2000);
    PolicyMemory memory, other_memory;
    for (int step = 0; step < kSteps; ++step) {
      machine.Step();
      machine.settings.schedule = {};
      if (machine.world.signals.paused_until)
        machine.world.signals.paused_until = kPausedWithoutEnd;
      Moment other = machine.world.now;
      other.wall = WallTimeFromUnixMs(static_cast<std::int64_t>(machine.Below(1ull << 42)));
      other.weekday = static_cast<int>(machine.Below(7));
      other.minute_of_day = static_cast<int>(machine.Below(1440));
      const Decision decision =
          Decide(machine.settings, machine.world.signals, machine.world.now, memory);
      ASSERT_EQ(decision, Decide(machine.settings, machine.world.signals, other, other_memory));
      ASSERT_EQ(memory, other_memory);
    }
  }
}

TEST(PolicyProperties, ADecisionIsWhole) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed) + 3000);
    PolicyMemory memory;
    for (int step = 0; step < kSteps; ++step) {
      machine.Step();
      const Decision decision =
          Decide(machine.settings, machine.world.signals, machine.world.now, memory);
      ASSERT_FALSE(decision.text.empty());
      ASSERT_EQ(decision.reasons.empty(), decision.action == Action::kRun);
      ASSERT_EQ(decision.share == 0, decision.action == Action::kPause);
      ASSERT_TRUE(decision.action != Action::kRun || decision.share == 1);
      ASSERT_TRUE(decision.share == 0 || (decision.share >= kMinShare && decision.share <= 1));
      ASSERT_TRUE(decision.action == Action::kReduce || decision.only_gpus.empty());
      for (const ReasonText& reason : decision.reasons)
        ASSERT_FALSE(reason.text.empty() || reason.way_out.empty());
      ASSERT_EQ(memory.action, decision.action);
    }
  }
}

TEST(PolicyProperties, MemoryThatWasGivenBackStaysSoUntilWorkBegins) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed) + 4000);
    PolicyMemory memory;
    bool given_back = false;
    for (int step = 0; step < kSteps; ++step) {
      machine.Step();
      const Decision decision =
          Decide(machine.settings, machine.world.signals, machine.world.now, memory);
      if (decision.action != Action::kPause) given_back = false;
      ASSERT_FALSE(given_back && decision.keep_memory);
      given_back = !decision.keep_memory;
    }
  }
}

TEST(PolicyProperties, NothingKnownAtAllIsInUse) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed));
    PolicyMemory memory;
    machine.settings.presence.dedicated = false;
    EXPECT_EQ(Decide(machine.settings, {}, machine.world.now, memory).action, Action::kPause);
  }
}

TEST(SettingsProperties, EverySettingsTextGivesItsSettingsBack) {
  for (int seed = 1; seed <= 500; ++seed) {
    RandomMachine machine(static_cast<std::uint64_t>(seed));
    const auto settings = ParseSettings(SettingsText(machine.settings), "f");
    ASSERT_TRUE(settings) << settings.error().message;
    ASSERT_EQ(*settings, machine.settings) << SettingsText(machine.settings);
  }
}

}  // namespace
}  // namespace fallow
