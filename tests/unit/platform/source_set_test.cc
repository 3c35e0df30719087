#include "platform/source_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/fake/fake_presence_source.h"
#include "platform/fake/fake_session_signal_source.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

using PresenceSet = SourceSet<PresenceSource>;

// A kind whose source appears when `there` is set, and whose newest source is `source`.
struct Display {
  bool there = false;
  int opened = 0;
  FakePresenceSource* source = nullptr;

  PresenceSet::Kind Kind() {
    return {.absent = {.source = "x11 :0"},
            .open = [this]() -> Result<std::unique_ptr<PresenceSource>> {
              if (!there) return Fail(ErrorCode::kUnavailable, "no display");
              ++opened;
              auto made = std::make_unique<FakePresenceSource>("x11 :0");
              source = made.get();
              source->IdleFor(1s);
              return made;
            }};
  }
};

TEST(SourceSet, SaysWhyASourceIsMissingAndFindsItLater) {
  SimulatedClock clock;
  Display display;
  PresenceSet set(clock, {display.Kind()});
  const auto readings = set.Read();
  ASSERT_EQ(readings.size(), 1u);
  EXPECT_FALSE(readings[0].known);
  EXPECT_EQ(readings[0].source, "x11 :0");
  EXPECT_EQ(readings[0].detail, "no display");
  display.there = true;
  EXPECT_FALSE(set.Read()[0].known);  // not tried at every look
  clock.Advance(PresenceSet::kReopenPeriod);
  EXPECT_TRUE(set.Read()[0].known);
}

TEST(SourceSet, OpensASourceAnewThatStoppedKnowing) {
  SimulatedClock clock;
  Display display{.there = true};
  PresenceSet set(clock, {display.Kind()});
  EXPECT_TRUE(set.Read()[0].known);
  display.source->CannotTell("the server went away");
  EXPECT_EQ(set.Read()[0].detail, "the server went away");
  EXPECT_EQ(display.opened, 1);
  clock.Advance(PresenceSet::kReopenPeriod);
  (void)set.Read();
  EXPECT_TRUE(set.Read()[0].known);
  EXPECT_EQ(display.opened, 2);
}

TEST(SourceSet, MissesASourceThatWasThereOtherwiseThanOneThatNeverWas) {
  SimulatedClock clock;
  Display display;
  auto kind = display.Kind();
  kind.lost = PresenceReading{.source = "x11 :0", .kind = PresenceKind::kDistrusted};
  PresenceSet set(clock, {std::move(kind)});
  EXPECT_EQ(set.Read()[0].kind, PresenceKind::kInput);
  display.there = true;
  clock.Advance(PresenceSet::kReopenPeriod);
  EXPECT_TRUE(set.Read()[0].known);
  display.source->CannotTell("it hangs");
  display.there = false;
  for (int i = 0; i < 3; ++i) {
    clock.Advance(PresenceSet::kReopenPeriod);
    (void)set.Read();
    EXPECT_FALSE(set.Read()[0].known);
    EXPECT_EQ(set.Read()[0].kind, PresenceKind::kDistrusted);
    EXPECT_EQ(set.Read()[0].detail, "no display");
  }
  display.there = true;
  clock.Advance(PresenceSet::kReopenPeriod);
  EXPECT_TRUE(set.Read()[0].known) << "it is back";
}

TEST(SourceSet, TellsOfEachSourceThatItOpens) {
  SimulatedClock clock;
  Display first, second{.there = true};
  PresenceSet set(clock, {first.Kind(), second.Kind()});
  std::vector<std::size_t> opened, open;
  set.OnOpen([&](std::size_t place, PresenceSource&) { opened.push_back(place); });
  (void)set.Read();
  first.there = true;
  clock.Advance(PresenceSet::kReopenPeriod);
  (void)set.Read();
  EXPECT_THAT(opened, ElementsAre(1u, 0u));
  set.ForEach([&](std::size_t place, PresenceSource&) { open.push_back(place); });
  EXPECT_THAT(open, ElementsAre(0u, 1u));
}

TEST(SourceSet, KeepsTheKindOfASignalWhoseSourceIsMissing) {
  SimulatedClock clock;
  SourceSet<SessionSignalSource> set(
      clock, {{.absent = {.kind = SessionSignalKind::kGameMode, .source = "gamemode"},
               .open = [] { return Fail(ErrorCode::kUnavailable, "no session bus"); }}});
  EXPECT_THAT(set.Read(), ElementsAre(SessionSignal{.kind = SessionSignalKind::kGameMode,
                                                    .source = "gamemode",
                                                    .known = false,
                                                    .active = false,
                                                    .detail = "no session bus"}));
}

}  // namespace
}  // namespace fallow
