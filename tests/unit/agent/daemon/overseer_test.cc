#include "agent/daemon/overseer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "platform/fake/fake_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

struct MemoryFiles : PolicyLogFiles {
  Result<std::string> ReadOld() override { return ""; }
  Result<std::string> ReadCurrent() override { return text; }
  Status Append(std::string_view bytes) override {
    if (full) return Fail(ErrorCode::kResourceExhausted, "the disk is full");
    text += bytes;
    return {};
  }
  Status PutAside() override {
    text.clear();
    return {};
  }
  Result<Current> Examine() override { return Current{.bytes = text.size()}; }
  std::string text;
  bool full = false;
};

struct CountedCpu : CpuLoadSensor {
  explicit CountedCpu(int& reads) : count(reads) {}
  CpuReading Read(std::span<const std::int64_t>) override {
    ++count;
    return {};
  }
  int& count;
};

// A machine whose owner is idle for `idle`, with the default settings: free after 3 minutes.
struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  fallow::testing::TemporaryFolder folder;
  Settings settings;
  std::string settings_trouble;
  MemoryFiles files;
  PolicyLog log{files};
  int sensor_reads = 0;
  MachineSenses machine{
      loop, clock, {.cpu = std::make_unique<CountedCpu>(sensor_reads)}, {}, [this] {
        overseer.Look();
      }};
  std::optional<milliseconds> idle = 0ms;
  PresenceKind kind = PresenceKind::kInput;
  bool holds_memory = false;
  bool closely = false;
  int looks = 0;
  Decision last;
  std::size_t bytes_logged_before = 0;  // it was acted on
  Overseer overseer{loop,
                    [this] {
                      return OwnersWord{settings, settings_trouble};
                    },
                    machine,
                    log,
                    {.tell_presence =
                         [this](Signals& signals) {
                           ++looks;
                           if (idle) {
                             signals.presence.push_back({.source = "test",
                                                         .known = true,
                                                         .idle_for = *idle,
                                                         .detail = "",
                                                         .kind = kind});
                           }
                         },
                     .own_processes = [] { return std::vector<std::int64_t>{}; },
                     .holds_memory = [this] { return holds_memory; },
                     .watch_closely = [this](bool value) { closely = value; },
                     .act =
                         [this](const Decision& decision) {
                           last = decision;
                           bytes_logged_before = files.text.size();
                         },
                     .now =
                         [this] {
                           return Moment{
                               .steady = clock.Steady(), .wall = clock.Wall(), .weekday = 3};
                         }}};

  // Lets `duration` pass with nobody at the machine.
  void Away(milliseconds duration) {
    for (milliseconds passed{0}; passed < duration; passed += 500ms) {
      if (idle) *idle += 500ms;
      loop.Advance(500ms);
    }
  }
  void Input() {
    idle = 0ms;
    overseer.Look();
  }
};

TEST(Overseer, WorksOnceTheOwnerIsAwayAndStopsAtTheFirstInput) {
  Fixture f;
  f.overseer.Look();
  EXPECT_EQ(f.last.action, Action::kPause);
  f.Away(4min);
  EXPECT_NE(f.last.action, Action::kPause) << f.last.text;
  f.Input();
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_THAT(f.last.text, HasSubstr("input"));
}

TEST(Overseer, AnOwnerAtTheMachineCostsALookEachFiveSecondsAndNoSensor) {
  Fixture f;
  f.overseer.Look();
  f.looks = 0;
  for (int i = 0; i < 60; ++i) {
    f.idle = 1'000ms;
    f.loop.Advance(1s);
  }
  EXPECT_EQ(f.looks, 12);
  EXPECT_EQ(f.sensor_reads, 0);
  EXPECT_FALSE(f.closely);
}

TEST(Overseer, WatchesCloselyAndReadsSensorsBeforeWorkMayBegin) {
  Fixture f;
  f.overseer.Look();
  f.Away(175s);
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_TRUE(f.closely);
  EXPECT_GT(f.sensor_reads, 1) << "loads are means over the time between two readings";
}

TEST(Overseer, WorkEndsWhereASensorNoLongerAnswers) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  ASSERT_NE(f.last.action, Action::kPause) << f.last.text;
  f.clock.Advance(1s);
  f.overseer.Look();  // begins a reading that does not run
  f.clock.Advance(MachineSenses::kFreshFor);
  f.overseer.Look();
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_THAT(f.last.text, HasSubstr("sensors"));
  f.Away(1min);
  EXPECT_NE(f.last.action, Action::kPause) << "it answers again: " << f.last.text;
}

TEST(Overseer, ReadsSensorsBesideAnOwnerWhoseOtherGpuMayWork) {
  Fixture f;
  f.settings.compute.yield_display_gpu_alone = true;
  f.overseer.Look();
  f.loop.RunPending();
  EXPECT_EQ(f.sensor_reads, 1);
}

TEST(Overseer, KeepsReadingWhileAModelIsInMemory) {
  Fixture f;
  f.holds_memory = true;
  f.overseer.Look();
  f.loop.Advance(20s);
  EXPECT_GT(f.sensor_reads, 2) << "others may want the memory";
}

// An owner who comes back does not wait until a driver has told its temperature.
TEST(Overseer, StopsWorkBeforeItReadsASensor) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  ASSERT_NE(f.last.action, Action::kPause) << f.last.text;
  f.clock.Advance(999ms);
  f.sensor_reads = 0;
  f.Input();
  f.loop.RunPending();
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_EQ(f.sensor_reads, 0);
}

TEST(Overseer, ReadsSensorsWhereSomeGpusMayGoOnBesideTheOwner) {
  Fixture f;
  f.settings.compute.yield_display_gpu_alone = true;
  f.overseer.Look();
  f.Away(4min);
  ASSERT_NE(f.last.action, Action::kPause) << f.last.text;
  f.clock.Advance(999ms);
  f.sensor_reads = 0;
  f.Input();
  f.loop.RunPending();
  EXPECT_EQ(f.sensor_reads, 1) << "which GPUs drive a display is asked of the machine";
}

TEST(Overseer, AGamepadAtRestIsNoReasonToReadSensors) {
  Fixture f;
  f.kind = PresenceKind::kGamepad;
  f.idle = 1h;
  f.overseer.Look();
  f.loop.Advance(1min);
  EXPECT_EQ(f.sensor_reads, 0);
  EXPECT_FALSE(f.closely);
}

TEST(Overseer, TheOwnersPauseHoldsUntilResume) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  f.overseer.PauseUntil(kPausedWithoutEnd);
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_EQ(f.last.reasons.at(0).reason, Reason::kPausedByOwner);
  f.Away(10min);
  EXPECT_EQ(f.last.action, Action::kPause);
  f.overseer.PauseUntil(std::nullopt);
  EXPECT_NE(f.last.action, Action::kPause) << f.last.text;
}

TEST(Overseer, SleepStopsWork) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  f.overseer.Suspend(true);
  EXPECT_EQ(f.last.reasons.at(0).reason, Reason::kSuspending);
  EXPECT_FALSE(f.last.keep_memory);
}

// Sources go on counting where they were: to them it was a moment.
TEST(Overseer, WhoeverWokeTheMachineIsThereForAWhile) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  ASSERT_NE(f.last.action, Action::kPause) << f.last.text;
  f.overseer.Suspend(true);
  f.overseer.Suspend(false);
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_EQ(f.last.reasons.at(0).reason, Reason::kInput);
  EXPECT_EQ(f.overseer.entry().signals.presence.at(0).detail, "the machine woke");
  f.Away(2min);
  EXPECT_EQ(f.last.action, Action::kPause);
  f.Away(2min);
  EXPECT_NE(f.last.action, Action::kPause) << f.last.text;
}

TEST(Overseer, WakingTellsNothingWhereNoSourceDoes) {
  Fixture f;
  f.idle.reset();
  f.overseer.Suspend(true);
  f.overseer.Suspend(false);
  f.Away(10min);
  EXPECT_EQ(f.last.reasons.at(0).reason, Reason::kUnknownPresence);
}

TEST(Overseer, SettingsThatCannotBeFollowedStopWork) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  f.settings_trouble = "agent.toml:3:1: what is this";
  f.overseer.Look();
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_THAT(f.last.text, HasSubstr("agent.toml:3:1"));
}

TEST(Overseer, KeepsWhatItDecidedFrom) {
  Fixture f;
  f.overseer.Look();
  f.Away(5min);
  EXPECT_EQ(f.overseer.entry().decision, f.last);
  EXPECT_FALSE(f.files.text.empty());
}

TEST(Overseer, GivesTheMachineBackBeforeItWritesThatItDoes) {
  Fixture f;
  f.overseer.Look();
  f.Away(4min);
  ASSERT_NE(f.last.action, Action::kPause);
  f.Input();
  EXPECT_EQ(f.last.action, Action::kPause);
  EXPECT_GT(f.files.text.size(), f.bytes_logged_before);
}

TEST(Overseer, ALogThatCannotBeKeptCostsNoDecision) {
  Fixture f;
  f.files.full = true;
  f.overseer.Look();
  f.Away(4min);
  EXPECT_NE(f.last.action, Action::kPause);
}

TEST(Overseer, AfterItsEndItDecidesNothing) {
  Fixture f;
  f.overseer.Look();
  f.overseer.End();
  f.looks = 0;
  f.overseer.Look();
  f.loop.Advance(1min);
  EXPECT_EQ(f.looks, 0);
}

}  // namespace
}  // namespace fallow
