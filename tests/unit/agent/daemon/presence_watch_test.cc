#include "agent/daemon/presence_watch.h"

#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/fake/fake_presence_source.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

// A kind whose source appears when `there` is set, and whose newest source is `source`.
struct Display {
  bool there = false;
  int opened = 0;
  FakePresenceSource* source = nullptr;

  PresenceWatch::Kind Kind() {
    return {"x11 :0", [this]() -> Result<std::unique_ptr<PresenceSource>> {
              if (!there) return Fail(ErrorCode::kUnavailable, "no display");
              ++opened;
              auto made = std::make_unique<FakePresenceSource>("x11 :0");
              source = made.get();
              source->IdleFor(1s);
              return made;
            }};
  }
};

TEST(PresenceWatch, SaysWhyASourceIsMissingAndFindsItLater) {
  SimulatedClock clock;
  Display display;
  PresenceWatch watch(clock, {display.Kind()});
  auto readings = watch.Read();
  ASSERT_EQ(readings.size(), 1u);
  EXPECT_FALSE(readings[0].known);
  EXPECT_EQ(readings[0].source, "x11 :0");
  EXPECT_EQ(readings[0].detail, "no display");
  display.there = true;
  EXPECT_FALSE(watch.Read()[0].known);  // not tried at every look
  clock.Advance(PresenceWatch::kReopenPeriod);
  EXPECT_TRUE(watch.Read()[0].known);
}

TEST(PresenceWatch, OpensASourceAnewThatStoppedKnowing) {
  SimulatedClock clock;
  Display display{.there = true};
  PresenceWatch watch(clock, {display.Kind()});
  EXPECT_TRUE(watch.Read()[0].known);
  display.source->CannotTell("the server went away");
  EXPECT_EQ(watch.Read()[0].detail, "the server went away");
  EXPECT_EQ(display.opened, 1);
  clock.Advance(PresenceWatch::kReopenPeriod);
  (void)watch.Read();
  EXPECT_TRUE(watch.Read()[0].known);
  EXPECT_EQ(display.opened, 2);
}

}  // namespace
}  // namespace fallow
