#include "agent/daemon/machine_senses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/fake_loop.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A processor sensor that counts how often it is read.
struct CountedCpu : CpuLoadSensor {
  explicit CountedCpu(int& reads) : count(reads) {}
  CpuReading Read(std::span<const std::int64_t>) override {
    ++count;
    return {.processor_count = 4, .foreign_share = 0.5};
  }
  int& count;
};

struct SayingPower : PowerSensor {
  explicit SayingPower(std::optional<bool> word) : saver(word) {}
  PowerReading Read() override { return {.on_battery = false, .power_saver = saver}; }
  std::optional<bool> saver;
};

struct SayingProfile : PowerProfileSensor {
  explicit SayingProfile(std::optional<bool> word) : saver(word) {}
  std::optional<bool> PowerSaver() override { return saver; }
  std::optional<bool> saver;
};

// Senses whose owner looks when the test says so.
struct Fixture {
  explicit Fixture(MachineSenses::Sensors sensors, MachineSenses::Services services = {})
      : senses(loop, clock, std::move(sensors), std::move(services), [this] { ++readings; }) {}

  // What a look tells now; a reading that it begins goes on unseen.
  Signals Look(const Settings& settings = {}) {
    Signals signals;
    senses.Read(settings, {}, signals);
    return signals;
  }
  // What is told once the reading that a look begins has ended.
  Signals Read(const Settings& settings = {}) {
    Look(settings);
    loop.RunPending();
    return Look(settings);
  }

  SimulatedClock clock;
  FakeLoop loop{clock};
  int readings = 0;
  MachineSenses senses;
};

TEST(MachineSenses, PartsThatAreMissingTellNothing) {
  Fixture f({});
  EXPECT_EQ(f.Read(), Signals{.machine_read = true});
}

TEST(MachineSenses, NobodyWaitsForASensor) {
  int count = 0;
  Fixture f({.cpu = std::make_unique<CountedCpu>(count)});
  EXPECT_EQ(f.Look(), Signals{}) << "nothing is read yet, so no work begins";
  EXPECT_EQ(count, 0);
  f.loop.RunPending();
  EXPECT_EQ(count, 1);
  EXPECT_EQ(f.readings, 1) << "whoever waits for it is told";
  EXPECT_EQ(f.Look().cpu.foreign_share, 0.5);
}

TEST(MachineSenses, ReadsSensorsNoMoreOftenThanTheirPeriod) {
  int count = 0;
  Fixture f({.cpu = std::make_unique<CountedCpu>(count)});
  f.Read();
  f.clock.Advance(100ms);
  EXPECT_EQ(f.Read().cpu.foreign_share, 0.5) << "what was read stands";
  EXPECT_EQ(count, 1);
  f.clock.Advance(MachineSenses::kReadPeriod);
  f.Read();
  EXPECT_EQ(count, 2);
}

TEST(MachineSenses, ASensorThatHangsIsNamedAndEndsWhatWasReadBefore) {
  int count = 0;
  Fixture f({.cpu = std::make_unique<CountedCpu>(count)});
  f.Read();
  f.clock.Advance(1s);
  f.Look();  // its reading is not run: it hangs
  f.clock.Advance(MachineSenses::kFreshFor - 1s);
  EXPECT_TRUE(f.Look().machine_read);
  f.clock.Advance(1s + 1ms);
  const Signals hung = f.Look();
  EXPECT_FALSE(hung.machine_read);
  EXPECT_THAT(hung.notices, ElementsAre(HasSubstr("did not answer within 8 s")));
  f.loop.RunPending();
  EXPECT_EQ(count, 2) << "one reading at a time, however often it was asked for";
  EXPECT_THAT(f.Read().notices, IsEmpty());
}

TEST(MachineSenses, AReadingThatEndsAfterThemTouchesNothing) {
  SimulatedClock clock;
  FakeLoop loop(clock);
  int count = 0;
  int readings = 0;
  {
    MachineSenses senses(loop, clock, {.cpu = std::make_unique<CountedCpu>(count)}, {},
                         [&] { ++readings; });
    Signals signals;
    senses.Read({}, {}, signals);
  }
  loop.RunPending();
  EXPECT_EQ(count, 1);
  EXPECT_EQ(readings, 0);
}

TEST(MachineSenses, TheOwnersWishToSavePowerIsTakenFromWhoeverTells) {
  const auto saver = [](std::optional<bool> firmware, std::optional<bool> profile) {
    Fixture f({.power = std::make_unique<SayingPower>(firmware)},
              {.power_profile = std::make_unique<SayingProfile>(profile)});
    return f.Read().power.power_saver;
  };
  EXPECT_EQ(saver(std::nullopt, std::nullopt), std::nullopt);
  EXPECT_EQ(saver(std::nullopt, true), true);
  EXPECT_EQ(saver(true, false), true);
  EXPECT_EQ(saver(true, std::nullopt), true);
  EXPECT_EQ(saver(false, false), false);
}

TEST(MachineSenses, LooksForProgramsOfTheOwnersListAlone) {
  int looks = 0;
  Fixture f({.programs = [&] {
    ++looks;
    return std::vector<std::string>{"bash", "Game.exe", "steam"};
  }});
  f.Read();
  EXPECT_EQ(looks, 0) << "nobody asked for any";
  Settings settings;
  settings.presence.owner_programs = {"Steam", "game", "blender"};
  EXPECT_THAT(f.Read(settings).owner_programs, ElementsAre("Steam", "game"));
  f.clock.Advance(1s);
  EXPECT_THAT(f.Read(settings).owner_programs, ElementsAre("Steam", "game"))
      << "between two looks for programs the last stands";
  EXPECT_EQ(looks, 1);
  settings.presence.owner_programs = {"blender"};
  EXPECT_THAT(f.Read(settings).owner_programs, IsEmpty()) << "another list is looked for at once";
}

}  // namespace
}  // namespace fallow
