#include "agent/daemon/machine_senses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A processor sensor that counts how often it is read.
struct CountedCpu : CpuLoadSensor {
  explicit CountedCpu(int& count) : count(count) {}
  CpuReading Read(std::span<const std::int64_t>) override {
    ++count;
    return {.processor_count = 4, .foreign_share = 0.5};
  }
  int& count;
};

struct SayingPower : PowerSensor {
  explicit SayingPower(std::optional<bool> saver) : saver(saver) {}
  PowerReading Read() override { return {.on_battery = false, .power_saver = saver}; }
  std::optional<bool> saver;
};

struct SayingProfile : PowerProfileSensor {
  explicit SayingProfile(std::optional<bool> saver) : saver(saver) {}
  std::optional<bool> PowerSaver() override { return saver; }
  std::optional<bool> saver;
};

TEST(MachineSenses, PartsThatAreMissingTellNothing) {
  SimulatedClock clock;
  MachineSenses senses(clock, {});
  Signals signals;
  senses.Read({}, {}, signals);
  EXPECT_EQ(signals, Signals{.machine_read = true});
}

TEST(MachineSenses, ReadsSensorsNoMoreOftenThanTheirPeriod) {
  SimulatedClock clock;
  int count = 0;
  MachineSenses senses(clock, {.cpu = std::make_unique<CountedCpu>(count)});
  Signals signals;
  senses.Read({}, {}, signals);
  clock.Advance(100ms);
  Signals soon;
  senses.Read({}, {}, soon);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(soon.cpu.foreign_share, 0.5) << "what was read stands";
  clock.Advance(MachineSenses::kReadPeriod);
  senses.Read({}, {}, signals);
  EXPECT_EQ(count, 2);
}

TEST(MachineSenses, TheOwnersWishToSavePowerIsTakenFromWhoeverTells) {
  const auto saver = [](std::optional<bool> firmware, std::optional<bool> profile) {
    SimulatedClock clock;
    MachineSenses senses(clock, {.power = std::make_unique<SayingPower>(firmware),
                                 .power_profile = std::make_unique<SayingProfile>(profile)});
    Signals signals;
    senses.Read({}, {}, signals);
    return signals.power.power_saver;
  };
  EXPECT_EQ(saver(std::nullopt, std::nullopt), std::nullopt);
  EXPECT_EQ(saver(std::nullopt, true), true);
  EXPECT_EQ(saver(true, false), true);
  EXPECT_EQ(saver(true, std::nullopt), true);
  EXPECT_EQ(saver(false, false), false);
}

TEST(MachineSenses, LooksForProgramsOfTheOwnersListAlone) {
  SimulatedClock clock;
  int looks = 0;
  MachineSenses senses(clock, {.programs = [&] {
                         ++looks;
                         return std::vector<std::string>{"bash", "Game.exe", "steam"};
                       }});
  Signals signals;
  senses.Read({}, {}, signals);
  EXPECT_EQ(looks, 0) << "nobody asked for any";
  Settings settings;
  settings.presence.owner_programs = {"Steam", "game", "blender"};
  senses.Read(settings, {}, signals);
  EXPECT_THAT(signals.owner_programs, ElementsAre("Steam", "game"));
  senses.Read(settings, {}, signals);
  EXPECT_EQ(looks, 1);
  settings.presence.owner_programs = {"blender"};
  senses.Read(settings, {}, signals);
  EXPECT_THAT(signals.owner_programs, IsEmpty()) << "another list is looked for at once";
}

}  // namespace
}  // namespace fallow
