#include "agent/daemon/sleep_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What a played logind says; it outlives the watches that are opened on it.
struct PlayedSleep {
  bool there = true;  // there is a bus at all
  SleepReading says{.source = "logind", .known = true, .preparing = false, .detail = {}};
  std::function<void()> on_change;  // of the watch that is open
  int opened = 0;
  int ready = 0;
};

class FakeSleepWatch : public SleepWatch {
 public:
  explicit FakeSleepWatch(PlayedSleep& played) : played_(played) {}
  ~FakeSleepWatch() override { played_.on_change = nullptr; }
  SleepReading Read() override { return played_.says; }
  void OnChange(std::function<void()> fn) override { played_.on_change = std::move(fn); }
  void Ready() override { ++played_.ready; }

 private:
  PlayedSleep& played_;
};

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  PlayedSleep played;
  std::vector<std::string> told;
  std::function<void()> ready;
  SleepFollower sleep{loop,
                      clock,
                      [this]() -> Result<std::unique_ptr<SleepWatch>> {
                        ++played.opened;
                        if (!played.there) return Fail(ErrorCode::kUnavailable, "no bus");
                        return std::make_unique<FakeSleepWatch>(played);
                      },
                      {.on_sleep =
                           [this](std::function<void()> done) {
                             told.push_back("sleep");
                             ready = std::move(done);
                           },
                       .on_wake = [this] { told.push_back("wake"); }}};

  void FallSilent() {
    played.says.known = false;
    played.says.detail = "logind did not answer";
  }
  void Prepare(bool preparing) {
    played.says.preparing = preparing;
    if (played.on_change) played.on_change();
    loop.RunPending();
  }
  // As an agent that waits looks: each five seconds.
  void LookFor(std::chrono::milliseconds time) {
    for (std::chrono::milliseconds passed{}; passed < time; passed += 5s) {
      loop.Advance(5s);
      sleep.Look();
      loop.RunPending();
    }
  }
};

TEST(SleepFollower, TellsSleepAndWakeAndLetsItGoOn) {
  Fixture f;
  f.sleep.Look();
  f.Prepare(true);
  EXPECT_THAT(f.told, ElementsAre("sleep"));
  EXPECT_EQ(f.played.ready, 0);
  f.ready();
  EXPECT_EQ(f.played.ready, 1);
  f.Prepare(false);
  EXPECT_THAT(f.told, ElementsAre("sleep", "wake"));
}

TEST(SleepFollower, AnAgentThatIsThereBeforeTheBusFollowsSleepLater) {
  Fixture f;
  f.played.there = false;
  f.LookFor(5min);
  EXPECT_LE(f.played.opened, 11) << "not more often than other sources";
  f.played.there = true;
  f.LookFor(30s);
  f.Prepare(true);
  EXPECT_THAT(f.told, ElementsAre("sleep"));
}

TEST(SleepFollower, OpensNothingAndWakesNobodyWhileSleepIsKnown) {
  Fixture f;
  f.sleep.Look();
  f.loop.Advance(24h);
  f.LookFor(5min);
  EXPECT_EQ(f.played.opened, 1);
  EXPECT_THAT(f.told, IsEmpty());
}

TEST(SleepFollower, ABeginningInTheMiddleOfPreparationsIsToldNotFromInsideTheLook) {
  Fixture f;
  f.played.says.preparing = true;
  f.sleep.Look();
  EXPECT_THAT(f.told, IsEmpty());
  f.loop.RunPending();
  EXPECT_THAT(f.told, ElementsAre("sleep"));
}

// Else the agent would believe for ever that the machine is about to sleep.
TEST(SleepFollower, ASourceThatIsLostDuringSleepCountsAsAwakeInTheEnd) {
  Fixture f;
  f.sleep.Look();
  f.Prepare(true);
  f.FallSilent();
  f.LookFor(20s);
  EXPECT_THAT(f.told, ElementsAre("sleep")) << "it may come back";
  f.played.there = false;
  f.LookFor(60s);
  EXPECT_THAT(f.told, ElementsAre("sleep", "wake"));
  f.ready();  // nobody waits for it any more
  EXPECT_EQ(f.played.ready, 0);
}

TEST(SleepFollower, ASourceThatStopsKnowingIsOpenedAnew) {
  Fixture f;
  f.sleep.Look();
  f.FallSilent();
  f.LookFor(60s);
  EXPECT_GE(f.played.opened, 2);
  f.played.says.known = true;
  f.Prepare(true);
  EXPECT_THAT(f.told, ElementsAre("sleep"));
}

}  // namespace
}  // namespace fallow
