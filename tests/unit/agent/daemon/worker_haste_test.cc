#include "agent/daemon/worker_haste.h"

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

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  Status answer;
  std::vector<Haste> set;
  WorkerHaste haste{loop,
                    [this](std::int64_t, Haste value) {
                      set.push_back(value);
                      return answer;
                    },
                    250ms};
};

TEST(WorkerHaste, IsTakenBackSomeTimeAfterTheStop) {
  Fixture f;
  f.haste.Hurry(7);
  f.haste.GiveWayLater(7);
  f.loop.Advance(249ms);
  EXPECT_THAT(f.set, ElementsAre(Haste::kHurry));
  f.loop.Advance(1ms);
  EXPECT_THAT(f.set, ElementsAre(Haste::kHurry, Haste::kNone));
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(WorkerHaste, OneThatHurriesAgainIsNotTakenBackMeanwhile) {
  Fixture f;
  f.haste.GiveWayLater(7);
  f.loop.Advance(100ms);
  f.haste.Hurry(7);
  f.loop.Advance(1min);
  EXPECT_THAT(f.set, ElementsAre(Haste::kHurry));
}

TEST(WorkerHaste, IsTriedAgainOnlyWhereThatIsRefusedForTheTimeBeing) {
  Fixture f;
  f.answer = Fail(ErrorCode::kUnavailable, "not yet");
  f.haste.GiveWayLater(7);
  f.loop.Advance(500ms);
  EXPECT_THAT(f.set, ElementsAre(Haste::kNone, Haste::kNone));
  f.answer = Fail(ErrorCode::kPermissionDenied, "never");
  f.loop.Advance(1min);
  EXPECT_EQ(f.set.size(), 3u);
}

TEST(WorkerHaste, AProcessThatHasGoneIsLeftAlone) {
  Fixture f;
  f.haste.GiveWayLater(7);
  f.haste.Forget();
  f.loop.Advance(1min);
  EXPECT_THAT(f.set, IsEmpty());
}

TEST(WorkerHaste, WithoutAWayToSetItNothingIsDone) {
  SimulatedClock clock;
  FakeLoop loop(clock);
  WorkerHaste haste(loop, nullptr, 250ms);
  haste.Hurry(7);
  haste.GiveWayLater(7);
  loop.Advance(1min);
  EXPECT_EQ(loop.timer_count(), 0u);
}

}  // namespace
}  // namespace fallow
