#include "platform/fake/fake_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fallow {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  std::vector<std::string> seen;

  std::function<void()> Note(std::string text) {
    return [this, text = std::move(text)] { seen.push_back(text); };
  }
};

TEST(FakeLoop, RunsTimersInTheOrderOfTheirDeadlines) {
  Fixture f;
  const auto late = f.loop.After(milliseconds(30), f.Note("late"));
  const auto early = f.loop.After(milliseconds(10), f.Note("early"));
  const auto every = f.loop.Every(milliseconds(20), f.Note("every"));
  f.loop.Advance(milliseconds(45));
  EXPECT_THAT(f.seen, ElementsAre("early", "every", "late", "every"));
}

TEST(FakeLoop, StandsAtTheDeadlineWhileATimerRuns) {
  Fixture f;
  const SteadyTime start = f.clock.Steady();
  SteadyTime at;
  const auto timer = f.loop.After(milliseconds(10), [&] { at = f.clock.Steady(); });
  f.loop.Advance(milliseconds(100));
  EXPECT_EQ(at - start, milliseconds(10));
  EXPECT_EQ(f.clock.Steady() - start, milliseconds(100));
}

TEST(FakeLoop, DestroyedTimerStaysSilent) {
  Fixture f;
  auto timer = f.loop.After(milliseconds(10), f.Note("never"));
  timer = nullptr;
  f.loop.Advance(milliseconds(100));
  EXPECT_TRUE(f.seen.empty());
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(FakeLoop, TimerMayDestroyItselfWhileItRuns) {
  Fixture f;
  std::unique_ptr<Timer> timer;
  timer = f.loop.Every(milliseconds(10), [&] {
    timer = nullptr;
    f.seen.push_back("once");
  });
  f.loop.Advance(milliseconds(100));
  EXPECT_THAT(f.seen, ElementsAre("once"));
}

TEST(FakeLoop, RunsPostedCallsLaterAndInOrder) {
  Fixture f;
  f.loop.Post(f.Note("first"));
  f.loop.Blocking(f.Note("work"), f.Note("done"));
  f.loop.Post(f.Note("last"));
  EXPECT_TRUE(f.seen.empty());
  f.loop.RunPending();
  EXPECT_THAT(f.seen, ElementsAre("first", "work", "done", "last"));
}

TEST(SimulatedClock, CalendarMayStepBackWhileSteadyTimeDoesNot) {
  SimulatedClock clock;
  const WallTime wall = clock.Wall();
  const SteadyTime steady = clock.Steady();
  clock.StepWall(-std::chrono::hours(1));
  clock.Advance(milliseconds(5));
  EXPECT_EQ(clock.Wall(), wall - std::chrono::hours(1) + milliseconds(5));
  EXPECT_EQ(clock.Steady(), steady + milliseconds(5));
}

}  // namespace
}  // namespace fallow
