#include "agent/daemon/input_watch.h"

#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_presence_source.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

// Whoever is called looks, as the overseer does: reads, and waits again.
struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  FakePresenceSource* source = nullptr;
  SourceSet<PresenceSource> sources{
      clock,
      {{.absent = {.source = "fake"}, .open = [this]() -> Result<std::unique_ptr<PresenceSource>> {
          auto made = std::make_unique<FakePresenceSource>("fake", &loop);
          made->IdleFor(1h);
          source = made.get();
          return made;
        }}}};
  int looks = 0;
  bool closely = true;
  InputWatch watch{loop, sources, [this] { Look(); }};

  void Look() {
    ++looks;
    (void)sources.Read();
    watch.Watch(closely);
  }
};

TEST(InputWatch, CallsAtTheFirstInputAtOnce) {
  Fixture f;
  f.Look();
  f.source->MakeInput();
  f.loop.RunPending();
  EXPECT_EQ(f.looks, 2);
}

TEST(InputWatch, AMouseThatMovesAllTheTimeIsLookedAtFourTimesASecond) {
  Fixture f;
  f.Look();
  for (int ms = 0; ms < 10'000; ++ms) {
    f.source->MakeInput();
    f.loop.Advance(1ms);
  }
  EXPECT_GE(f.looks, 35);
  EXPECT_LE(f.looks, 2 + 40);
}

TEST(InputWatch, InputThatNobodyReadIsToldOnceTheGapIsOver) {
  Fixture f;
  f.Look();
  f.source->MakeInput();
  f.loop.RunPending();
  f.source->MakeInput();
  f.loop.Advance(InputWatch::kGap);
  f.loop.RunPending();
  EXPECT_EQ(f.looks, 3);
  f.loop.Advance(10s);
  EXPECT_EQ(f.looks, 3) << "without more input nobody looks";
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(InputWatch, WaitsForNothingUnlessItIsToWatchClosely) {
  Fixture f;
  f.closely = false;
  f.Look();
  EXPECT_FALSE(f.source->awaited());
  f.closely = true;
  f.Look();
  EXPECT_TRUE(f.source->awaited());
  f.source->MakeInput();
  f.closely = false;
  f.loop.Advance(10s);
  EXPECT_FALSE(f.source->awaited()) << "also not after a gap";
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

}  // namespace
}  // namespace fallow
