// Loads, power, network, heat: thresholds, hysteresis, and how long a reason holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "agent/daemon/policy/policy.h"
#include "tests/unit/agent/daemon/policy/machine_world.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// Sets a measured value; the policy's threshold is where it begins to be a reason.
struct LoadCase {
  const char* name;
  Reason reason;
  std::function<void(Signals&, double)> set;
  double below, at;         // just free, just a reason
  double between, release;  // still a reason once it is one, no longer
  std::chrono::seconds settles;
  const char* text;
};

const LoadCase kLoadCases[] = {
    {"cpu", Reason::kCpuLoad, [](Signals& s, double v) { s.cpu.foreign_share = v; }, 0.249, 0.25,
     0.201, 0.20, 30s, "other programs use 25 % of the processors; work waits above 25 %"},
    {"gpu", Reason::kGpuLoad,
     [](Signals& s, double v) {
       s.gpus = {Gpu("0000:01:00.0", true)};
       s.gpus[0].foreign_busy_share = v;
     },
     0.199, 0.20, 0.161, 0.16, 30s, "other programs use 20 % of card; work waits above 20 %"},
    {"pressure", Reason::kCpuLoad,
     [](Signals& s, double v) {
       s.cpu.foreign_share.reset();
       s.cpu.pressure_share = v;
     },
     0.399, 0.40, 0.321, 0.32, 30s,
     "programs waited for a processor 40 % of the last 10 s; work waits above 40 %"},
    {"memory", Reason::kMemory,
     [](Signals& s, double v) {
       s.cpu.memory_available_bytes = static_cast<std::uint64_t>(v * (1 << 20));
     },
     1024, 1023, 1279, 1280, 60s, "1023 MiB of memory are free; work waits below 1024 MiB"},
    {"memory pressure", Reason::kMemory,
     [](Signals& s, double v) { s.cpu.memory_pressure_share = v; }, 0.199, 0.20, 0.101, 0.10, 60s,
     "programs waited for memory 20 % of the last 10 s; work waits above 20 %"},
    {"gpu memory", Reason::kGpuMemory,
     [](Signals& s, double v) {
       s.gpus = {Gpu("0000:01:00.0", true)};
       s.gpus[0].memory_used_bytes = (8ull << 30) - static_cast<std::uint64_t>(v * (1 << 20));
     },
     512, 511, 639, 640, 60s, "511 MiB of card's memory are free; work waits below 512 MiB"},
};

TEST(Loads, StopWorkAtTheThresholdAndNotJustBelow) {
  for (const LoadCase& load : kLoadCases) {
    MachineWorld machine;
    load.set(machine.signals, load.below);
    EXPECT_EQ(machine.Look().action, Action::kRun) << load.name;
    load.set(machine.signals, load.at);
    const Decision decision = machine.After(1s);
    EXPECT_EQ(decision.action, Action::kPause) << load.name;
    EXPECT_EQ(decision.reasons[0].reason, load.reason) << load.name;
    EXPECT_EQ(decision.text, load.text);
  }
}

TEST(Loads, MustBeLowForAWhileBeforeWorkBeginsAgain) {
  for (const LoadCase& load : kLoadCases) {
    MachineWorld machine;
    load.set(machine.signals, load.at);
    machine.Look();
    load.set(machine.signals, load.between);
    EXPECT_EQ(machine.After(10min).action, Action::kPause) << load.name;
    load.set(machine.signals, load.release);
    EXPECT_THAT(machine.After(1s).text, HasSubstr("in case it comes back")) << load.name;
    EXPECT_EQ(machine.After(load.settles - 1ms).action, Action::kPause) << load.name;
    EXPECT_EQ(machine.After(1ms).action, Action::kRun) << load.name;
  }
}

TEST(Loads, WhileOneSettlesWhatIsLeftIsToldAsTheWayOut) {
  MachineWorld machine;
  machine.signals.power.on_battery = true;
  machine.Look();
  machine.signals.power.on_battery = false;
  machine.After(1s);
  const Decision decision = machine.After(20s + 1ms);
  ASSERT_EQ(decision.reasons.size(), 1u);
  EXPECT_EQ(decision.text, "no longer on battery; work waits 40 s more, in case it comes back");
  EXPECT_EQ(decision.reasons[0].way_out, "it stays so for 40 s");
}

TEST(Loads, OneThatComesBackSettlesLongerEachTime) {
  MachineWorld machine;
  std::vector<std::chrono::seconds> waits;
  for (int i = 0; i < 6; ++i) {
    machine.signals.cpu.foreign_share = 0.5;
    machine.After(5s);
    machine.signals.cpu.foreign_share = 0.0;
    waits.push_back(machine.UntilItWorks());
  }
  EXPECT_THAT(waits, testing::ElementsAre(31s, 61s, 121s, 241s, 241s, 241s));
  // Ten quiet minutes later all is forgotten.
  machine.After(10min);
  machine.After(1s);
  machine.signals.cpu.foreign_share = 0.5;
  machine.After(5s);
  machine.signals.cpu.foreign_share = 0.0;
  EXPECT_EQ(machine.UntilItWorks(), 31s);
}

TEST(Loads, OneThatComesBackWhileNothingRanIsNotPunished) {
  MachineWorld machine;
  machine.signals.presence = {Idle("x11", 0s)};
  for (int i = 0; i < 5; ++i) {
    machine.signals.cpu.foreign_share = 0.5;
    machine.After(5s);
    machine.signals.cpu.foreign_share = 0.0;
    machine.After(1s);
    machine.After(40s);
  }
  machine.signals.presence = {Idle("x11", 1h)};
  machine.signals.cpu.foreign_share = 0.5;
  machine.After(5s);
  machine.signals.cpu.foreign_share = 0.0;
  EXPECT_EQ(machine.UntilItWorks(), 31s);
}

TEST(Loads, NoWorkBeginsBeforeTheMachineIsLookedAt) {
  MachineWorld machine;
  machine.signals.machine_read = false;
  EXPECT_EQ(machine.Look().reasons.at(0).reason, Reason::kSettling);
  machine.signals.machine_read = true;
  machine.settings.presence.idle_after = 1s;
  EXPECT_EQ(machine.After(1s).action, Action::kRun);
}

TEST(Loads, WhatIsNotLookedAtIsNoReasonToNameAndSettlesMeanwhile) {
  MachineWorld machine;
  machine.signals.cpu.foreign_share = 0.5;
  machine.settings.quiet.cpu_ceiling_celsius = 70;
  machine.signals.thermal.temperatures = {Cpu(50)};
  EXPECT_TRUE(Holds(machine.Look(), Reason::kCpuLoad));
  const Signals seen = machine.signals;
  machine.signals = {.presence = {Idle("x11", 0s)}};
  for (int i = 0; i < 120; ++i) {
    const Decision decision = machine.After(1s);
    ASSERT_EQ(decision.reasons.size(), 1u);
    ASSERT_EQ(decision.reasons[0].reason, Reason::kInput);
  }
  machine.signals = seen;
  machine.signals.cpu.foreign_share = 0.1;
  EXPECT_NE(machine.After(1s).action, Action::kPause);
}

TEST(Loads, AHundredPercentIsNeverAReason) {
  MachineWorld machine;
  machine.settings.load = {.foreign_cpu_percent = 100,
                           .foreign_gpu_percent = 100,
                           .cpu_pressure_percent = 100,
                           .min_free_memory_mib = 0,
                           .min_free_gpu_memory_mib = 0};
  for (const LoadCase& load : kLoadCases) {
    if (load.name == std::string("memory pressure")) continue;
    load.set(machine.signals,
             load.reason == Reason::kMemory || load.reason == Reason::kGpuMemory ? 0 : 1);
  }
  EXPECT_EQ(machine.Look().action, Action::kRun);
}

TEST(Loads, WhatCannotBeReadIsNoReason) {
  MachineWorld machine;
  machine.signals.cpu = {};
  machine.signals.gpus = {{.name = "card"}};
  EXPECT_EQ(machine.Look().action, Action::kRun);
}

TEST(Loads, PressureWhileWeComputeIsOurOwn) {
  MachineWorld machine;
  machine.signals.cpu.pressure_share = 0.9;
  EXPECT_EQ(machine.Look().action, Action::kPause);  // nothing of ours runs: others wait
  machine.signals.cpu.pressure_share = 0;
  machine.UntilItWorks();
  machine.signals.cpu.pressure_share = 0.9;
  EXPECT_EQ(machine.After(1s).action, Action::kRun);
}

TEST(Loads, AGpusUndividedLoadCountsOnlyWhileWeAreAway) {
  MachineWorld machine;
  machine.signals.gpus = {Gpu("0000:01:00.0", true)};
  machine.signals.gpus[0].foreign_busy_share.reset();
  EXPECT_EQ(machine.Look().action, Action::kRun);
  machine.signals.gpus[0].busy_share = 1.0;
  EXPECT_EQ(machine.After(1s).action, Action::kRun);
  machine.signals.presence = {Idle("x11", 0s)};
  EXPECT_FALSE(Holds(machine.After(1s), Reason::kGpuLoad));
  EXPECT_FALSE(Holds(machine.After(29s), Reason::kGpuLoad));  // ours may still be in the mean
  EXPECT_TRUE(Holds(machine.After(1s), Reason::kGpuLoad));
}

TEST(Loads, GpuMemoryWantedByOthersFreesTheModel) {
  MachineWorld machine;
  machine.signals.gpus = {Gpu("0000:01:00.0", true)};
  machine.signals.gpus[0].memory_used_bytes = 8ull << 30;
  EXPECT_FALSE(machine.Look().keep_memory);
  // A GPU of 1 GiB cannot keep half of it free: it is not judged by that.
  machine = MachineWorld();
  machine.signals.gpus = {Gpu("0000:01:00.0", true)};
  machine.signals.gpus[0].memory_total_bytes = (1ull << 30) - 1;
  machine.signals.gpus[0].memory_used_bytes = 1ull << 30;
  EXPECT_EQ(machine.Look().action, Action::kRun);
}

struct PowerCase {
  Reason reason;
  std::function<void(Signals&, std::optional<bool>)> set;
  bool Settings::Power::*allowed;
};
const PowerCase kPowerCases[] = {
    {Reason::kBattery, [](Signals& s, std::optional<bool> on) { s.power.on_battery = on; },
     &Settings::Power::on_battery},
    {Reason::kPowerSaver, [](Signals& s, std::optional<bool> on) { s.power.power_saver = on; },
     &Settings::Power::on_power_saver},
    {Reason::kMeteredNetwork, [](Signals& s, std::optional<bool> on) { s.metered = on; },
     &Settings::Power::on_metered_network},
};

TEST(Power, BatterySavingAndPaidNetworksStopWorkForAMinuteMore) {
  for (const PowerCase& power : kPowerCases) {
    MachineWorld machine;
    power.set(machine.signals, std::nullopt);
    EXPECT_EQ(machine.Look().action, Action::kRun);
    power.set(machine.signals, true);
    const Decision decision = machine.After(1s);
    EXPECT_EQ(decision.reasons.at(0).reason, power.reason);
    EXPECT_TRUE(decision.keep_memory);
    power.set(machine.signals, false);
    machine.After(1s);
    EXPECT_EQ(machine.After(60s - 1ms).action, Action::kPause);
    EXPECT_EQ(machine.After(1ms).action, Action::kRun);
    power.set(machine.signals, true);
    machine.settings.power.*power.allowed = true;
    EXPECT_EQ(machine.After(1s).action, Action::kRun);
  }
}

TEST(Heat, HoldsTheShareDownAndSaysWhy) {
  MachineWorld machine;
  machine.signals.thermal.temperatures = {Cpu(77.4)};
  Decision decision = machine.Look();
  EXPECT_EQ(decision.action, Action::kReduce);
  EXPECT_EQ(decision.reasons.at(0).reason, Reason::kTemperature);
  EXPECT_EQ(decision.text,
            "no input for 60 min (x11 :0); works 25 % of the time: processor at 77 °C, held at or "
            "below 78 °C");
  machine.signals.thermal.temperatures = {Cpu(50)};
  for (int i = 0; i < 60; ++i) decision = machine.After(1s);
  EXPECT_EQ(decision.action, Action::kRun);
  EXPECT_EQ(decision.share, 1);
}

TEST(Heat, AShareOnItsWayUpNeedsNothing) {
  MachineWorld machine;
  machine.signals.thermal.temperatures = {Cpu(60)};
  const Decision decision = machine.Look();
  ASSERT_EQ(decision.action, Action::kReduce);
  EXPECT_EQ(decision.reasons[0].way_out, "nothing; the share rises by itself while there is room");
  machine.signals.thermal.temperatures = {Cpu(77)};
  for (int i = 0; i < 60; ++i) machine.After(1s);
  EXPECT_EQ(machine.After(1s).reasons.at(0).way_out, "a higher quiet.level or ceiling");
}

TEST(Heat, AboveTheCeilingAtTheLeastShareWorkStops) {
  MachineWorld machine;
  machine.signals.thermal.temperatures = {Cpu(60)};
  for (int i = 0; i < 60; ++i) machine.After(1s);
  machine.signals.thermal.temperatures = {Cpu(82)};
  Decision decision = machine.Look();
  int seconds = 0;
  for (; decision.action != Action::kPause && seconds < 60; ++seconds) decision = machine.After(1s);
  EXPECT_GT(seconds, 5);
  EXPECT_LT(seconds, 60);
  EXPECT_EQ(decision.reasons.at(0).reason, Reason::kTemperature);
  EXPECT_THAT(decision.text, HasSubstr("processor at 82 °C, held at or below 78 °C"));
  // Not before it is well below, for a minute.
  machine.signals.thermal.temperatures = {Cpu(76)};
  EXPECT_EQ(machine.UntilItWorks(), 1h);
  machine.signals.thermal.temperatures = {Cpu(70)};
  const auto wait = machine.UntilItWorks();
  EXPECT_GE(wait, 60s);
  EXPECT_LE(wait, 75s);
}

TEST(Heat, FarAboveTheCeilingWorkStopsAtOnce) {
  MachineWorld machine;
  machine.signals.thermal.temperatures = {Cpu(60)};
  machine.Look();
  machine.signals.thermal.temperatures = {Cpu(120)};
  EXPECT_EQ(machine.After(1s).action, Action::kReduce);  // one reading may be wrong
  EXPECT_EQ(machine.After(1s).action, Action::kPause);
}

TEST(Heat, APartsOwnCriticalTemperatureLowersTheCeiling) {
  MachineWorld machine;
  machine.settings.quiet.cpu_ceiling_celsius = 95;
  machine.signals.thermal.temperatures = {Cpu(78, 85)};
  EXPECT_THAT(machine.Look().text, HasSubstr("held at or below 75 °C"));
}

TEST(Heat, WithoutASensorTheLevelsShareOfTimeCounts) {
  MachineWorld machine;
  machine.settings.quiet.level_percent = 30;
  const Decision decision = machine.Look();
  EXPECT_EQ(decision.action, Action::kReduce);
  EXPECT_DOUBLE_EQ(decision.share, 0.45);
  EXPECT_EQ(decision.reasons.at(0).reason, Reason::kQuietLevel);
  EXPECT_EQ(decision.reasons[0].text,
            "quiet.level 30 allows 45 % of the time (no sensor tells how warm the machine is)");
}

TEST(Heat, ACeilingThatTheOwnerSetNeedsItsSensor) {
  MachineWorld machine;
  machine.settings.quiet.cpu_ceiling_celsius = 70;
  machine.signals.thermal.temperatures = {Cpu(50)};
  EXPECT_NE(machine.Look().action, Action::kPause);
  machine.signals.thermal = {.troubles = {"hwmon2: cannot be read"}};
  EXPECT_NE(machine.After(10s).action, Action::kPause);
  const Decision decision = machine.After(1s);
  EXPECT_EQ(decision.action, Action::kPause);
  EXPECT_EQ(decision.reasons.at(0).reason, Reason::kSensorLost);
  EXPECT_EQ(decision.text,
            "quiet.cpu_ceiling_celsius is set, and no sensor has told it for 10 s (hwmon2: cannot "
            "be read)");
  machine.signals.thermal = {.temperatures = {Cpu(50)}};
  EXPECT_EQ(machine.UntilItWorks(), 31s);
}

TEST(Heat, ASensorThatIsLostWhereOnlyTheLevelAsksHoldsTheShare) {
  MachineWorld machine;
  machine.signals.thermal.temperatures = {Cpu(77)};
  for (int i = 0; i < 120; ++i) machine.After(1s);
  const double share = machine.Look().share;
  machine.signals.thermal = {};
  for (int i = 0; i < 300; ++i) machine.After(1s);
  EXPECT_LE(machine.Look().share, share);
  EXPECT_NE(machine.Look().action, Action::kPause);
  for (int i = 0; i < 310; ++i) machine.After(1s);
  EXPECT_EQ(machine.Look().share, 1);  // it is not coming back
}

TEST(Heat, AGpusCeilingIsAskedForOnlyWhereThereIsAGpu) {
  MachineWorld machine;
  machine.settings.quiet.gpu_ceiling_celsius = 70;
  EXPECT_EQ(machine.Look().action, Action::kRun);
  machine.signals.gpus = {Gpu("0000:01:00.0", true)};
  EXPECT_EQ(machine.After(1s).reasons.at(0).reason, Reason::kSensorLost);
  machine.signals.gpus[0].celsius = 50;
  EXPECT_EQ(machine.UntilItWorks(), 31s);
}

TEST(Watts, AreHeldAtTheOwnersLimit) {
  MachineWorld machine;
  machine.settings.quiet.watts_limit = 100;
  machine.signals.gpus = {Gpu("0000:01:00.0", true)};
  machine.signals.thermal.processor_watts = 30;
  machine.signals.gpus[0].watts = 68;
  const Decision decision = machine.Look();
  EXPECT_EQ(decision.action, Action::kReduce);
  EXPECT_EQ(decision.reasons.at(0).reason, Reason::kPowerLimit);
  EXPECT_THAT(decision.text, HasSubstr("processors and GPUs draw 98 W, held at or below 100 W"));
  machine.signals.gpus[0].watts.reset();
  machine.signals.thermal.processor_watts.reset();
  machine.After(10s);
  EXPECT_EQ(machine.After(1s).reasons.at(0).reason, Reason::kSensorLost);
}

TEST(Watts, ALevelBelowFullHoldsAGpuBelowItsOwnLimit) {
  MachineWorld machine;
  machine.signals.gpus = {Gpu("0000:01:00.0", true)};
  machine.signals.gpus[0].watts = 190;
  machine.signals.gpus[0].watts_limit = 220;
  EXPECT_THAT(machine.Look().text, HasSubstr("GPU draws 190 W, held at or below 176 W"));
  machine.settings.quiet.level_percent = 100;
  EXPECT_EQ(machine.After(5s).action, Action::kRun);
}

// What the owner's word ends waits for nothing but the shortest pause, and says nothing untrue.
TEST(OwnersWord, EndsAReasonAtOnceThoughItsCauseIsStillThere) {
  struct Case {
    const char* name;
    std::function<void(Signals&)> cause;
    std::function<void(Settings&)> word;
  };
  const Case cases[] = {
      {"battery", [](Signals& s) { s.power.on_battery = true; },
       [](Settings& s) { s.power.on_battery = true; }},
      {"saver", [](Signals& s) { s.power.power_saver = true; },
       [](Settings& s) { s.power.on_power_saver = true; }},
      {"metered", [](Signals& s) { s.metered = true; },
       [](Settings& s) { s.power.on_metered_network = true; }},
      {"full screen", [](Signals& s) { s.session = {Active(SessionSignalKind::kFullScreen)}; },
       [](Settings& s) { s.presence.full_screen = false; }},
      {"cpu", [](Signals& s) { s.cpu.foreign_share = 0.9; },
       [](Settings& s) { s.load.foreign_cpu_percent = s.load.cpu_pressure_percent = 100; }},
      {"program", [](Signals& s) { s.owner_programs = {"steam"}; },
       [](Settings& s) { s.presence.owner_programs.clear(); }},
      {"sensor", [](Signals&) {}, [](Settings& s) { s.quiet.cpu_ceiling_celsius.reset(); }},
  };
  for (const Case& one : cases) {
    MachineWorld machine;
    machine.settings.presence.owner_programs = {"steam"};
    machine.settings.quiet.cpu_ceiling_celsius = 70;
    if (std::string_view(one.name) != "sensor") machine.settings.quiet.cpu_ceiling_celsius.reset();
    one.cause(machine.signals);
    ASSERT_EQ(machine.Look().action, Action::kPause) << one.name;
    ASSERT_EQ(machine.After(20s).action, Action::kPause) << one.name;
    one.word(machine.settings);
    machine.signals.owner_programs.clear();  // none is looked for without a list
    EXPECT_NE(machine.After(1s).action, Action::kPause) << one.name;
  }
}

TEST(Starts, AfterAPauseWorkWaitsALittle) {
  MachineWorld machine;
  machine.Look();
  machine.signals.suspending = true;
  machine.After(1s);
  machine.signals.suspending = false;
  const Decision decision = machine.After(1s);
  EXPECT_EQ(decision.reasons.at(0).reason, Reason::kSettling);
  EXPECT_THAT(decision.text, HasSubstr("work waits 14 s more"));
  EXPECT_EQ(machine.UntilItWorks(), 14s);
}

TEST(Starts, WithAShorterIdleTimeItWaitsNoLongerThanThat) {
  MachineWorld machine;
  machine.settings.presence.idle_after = 2s;
  machine.Look();
  machine.signals.presence = {Idle("x11", 0s)};
  machine.After(1s);
  machine.signals.presence = {Idle("x11", 2s)};
  EXPECT_EQ(machine.After(2s).action, Action::kRun);
}

TEST(Starts, TheOwnersCommandsAreFollowedAtOnceHoweverOften) {
  MachineWorld machine;
  machine.Look();
  for (int i = 0; i < 100; ++i) {
    machine.signals.paused_until = kPausedWithoutEnd;
    ASSERT_EQ(machine.After(10ms).action, Action::kPause);
    machine.signals.paused_until.reset();
    ASSERT_EQ(machine.After(10ms).action, Action::kRun);
  }
}

TEST(Signals, AreBoundedOnceAndForAll) {
  Signals signals;
  for (int i = 0; i < 100; ++i) {
    signals.presence.push_back(Idle(std::string(1000, 's'), std::chrono::seconds(200 - i)));
    signals.session.push_back({.source = "quiet"});
    signals.thermal.temperatures.push_back(Cpu(i));
    signals.gpus.push_back(Gpu("0000", true));
    signals.owner_programs.push_back("p");
  }
  signals.presence.push_back({.source = "liar", .kind = PresenceKind::kDistrusted});
  signals.session.push_back(Active(SessionSignalKind::kGameMode, "a\nb\x01\xff"));
  signals.thermal.temperatures.push_back(Cpu(std::numeric_limits<double>::quiet_NaN()));
  signals.cpu.foreign_share = std::numeric_limits<double>::infinity();
  const Signals bounded = Bounded(signals);
  EXPECT_EQ(bounded.presence.size(), kMaxPresenceReadings);
  EXPECT_EQ(bounded.presence[0].source, "liar");
  EXPECT_EQ(bounded.presence[1].idle_for, 101s);
  EXPECT_EQ(bounded.presence[1].source.size(), kMaxSignalTextBytes);
  EXPECT_EQ(bounded.session[0].detail, "a b ?");
  EXPECT_EQ(bounded.thermal.temperatures[0].celsius, 99);
  EXPECT_EQ(bounded.cpu.foreign_share, std::nullopt);
  EXPECT_EQ(Bounded(bounded), bounded);
}

}  // namespace
}  // namespace fallow
