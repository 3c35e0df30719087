// Helpers that behave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/session_desk_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Fixture = SessionDeskFixture;

TEST(SessionDesk, TellsWhatAHelperReports) {
  Fixture f;
  FakeHelper& helper = f.Connect();
  f.Say(helper, SessionHello{.session = "2", .session_type = "wayland", .desktop = "GNOME"});
  EXPECT_THAT(f.desk->presence(), IsEmpty());
  SessionReport report = f.Report(helper, 90s);
  report.presence[0].detail = "of seat0";
  report.presence.push_back({.source = "gamepads",
                             .detail = "none is plugged in",
                             .kind = PresenceReport::Kind::kGamepad});
  report.signals = {{.source = "gamemode",
                     .known = true,
                     .active = true,
                     .detail = "2 games",
                     .kind = SignalReport::Kind::kGameMode}};
  f.Say(helper, report);
  EXPECT_THAT(f.desk->presence(), ElementsAre(PresenceReading{.source = "x11 :0 (anna)",
                                                              .known = true,
                                                              .idle_for = 90s,
                                                              .detail = "of seat0"},
                                              PresenceReading{.source = "gamepads (anna)",
                                                              .detail = "none is plugged in",
                                                              .kind = PresenceKind::kGamepad}));
  EXPECT_THAT(f.desk->signals(), ElementsAre(SessionSignal{.kind = SessionSignalKind::kGameMode,
                                                           .source = "gamemode (anna)",
                                                           .known = true,
                                                           .active = true,
                                                           .detail = "2 games"}));
  f.clock.Advance(2s);
  const auto views = f.desk->helpers();
  ASSERT_THAT(views, SizeIs(1));
  EXPECT_EQ(views[0].user_id, kAnna);
  EXPECT_EQ(views[0].process_id, 77);
  EXPECT_EQ(views[0].user, "anna");
  EXPECT_EQ(views[0].session, "2");
  EXPECT_EQ(views[0].heard_ago, 2s);
  EXPECT_EQ(views[0].trouble, "");
}

TEST(SessionDesk, OneThatWeEndNeedsNoFarewell) {
  Fixture f;
  FakeHelper& helper = f.Introduce(90s);
  f.TakeChanges();
  f.desk->Dismiss(78);
  EXPECT_THAT(f.desk->helpers(), SizeIs(1)) << "another process";
  EXPECT_EQ(f.TakeChanges(), 0);
  f.desk->Dismiss(77);
  f.loop.RunPending();
  EXPECT_THAT(f.desk->presence(), IsEmpty());
  EXPECT_THAT(f.desk->helpers(), IsEmpty());
  EXPECT_TRUE(helper.ended);
  EXPECT_EQ(f.TakeChanges(), 1);
}

TEST(SessionDesk, OneThatWeEndHasNotMadeItsLieGood) {
  Fixture f;
  FakeHelper& helper = f.Introduce(90s);
  f.Say(helper, f.Report(helper, 900s));
  f.desk->Dismiss(77);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("says that x11 :0 saw")));
}

TEST(SessionDesk, CallsForALookOnlyWhenThereIsNews) {
  Fixture f;
  FakeHelper& helper = f.Introduce(90s);
  EXPECT_EQ(f.TakeChanges(), 1) << "the first report";
  f.loop.Advance(5s);
  f.Say(helper, f.Report(helper, 95s));
  EXPECT_EQ(f.TakeChanges(), 0) << "idle time that grew";
  f.loop.Advance(5s);
  f.Say(helper, f.Report(helper, 1s));
  EXPECT_EQ(f.TakeChanges(), 1) << "input";
  SessionReport report = f.Report(helper, 1s);
  report.signals = {{.source = "x11 :0", .known = true, .active = true}};
  f.Say(helper, report);
  EXPECT_EQ(f.TakeChanges(), 1) << "a signal";
}

TEST(SessionDesk, PassesOnWhetherToWatchClosely) {
  Fixture f;
  FakeHelper& early = f.Introduce(1h);
  EXPECT_THAT(early.Wishes(), IsEmpty());
  f.desk->WatchClosely(true);
  f.desk->WatchClosely(true);
  FakeHelper& late = f.Introduce(1h, kBen);
  f.desk->WatchClosely(false);
  f.loop.RunPending();
  EXPECT_THAT(early.Wishes(), ElementsAre(true, false));
  EXPECT_THAT(late.Wishes(), ElementsAre(true, false));
}

TEST(SessionDesk, KnowsWhenInputThatWasToldAtOnceWasSeen) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
  EXPECT_EQ(f.desk->last_input(), std::nullopt);
  f.clock.Advance(4s);
  SessionReport report = f.Report(helper, 0s);
  report.seen_input_at = f.clock.Steady() - 3ms;
  f.Say(helper, report);
  EXPECT_EQ(f.desk->last_input(), f.clock.Steady() - 3ms);
  EXPECT_EQ(f.TakeChanges(), 2);
  // Seen long ago: it was not told at once, so when it came here is what counts.
  f.clock.Advance(4s);
  report = f.Report(helper, 0s);
  report.seen_input_at = f.clock.Steady() - 3s;
  f.Say(helper, report);
  EXPECT_EQ(f.desk->last_input(), f.clock.Steady());
}

TEST(SessionDesk, AFarewellLeavesNothing) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
  (void)f.TakeChanges();
  f.Say(helper, SessionGoodbye{});
  EXPECT_THAT(f.desk->presence(), IsEmpty());
  EXPECT_THAT(f.desk->helpers(), IsEmpty());
  EXPECT_EQ(f.TakeChanges(), 1);
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(SessionDesk, SteadyReportsAreNoFlood) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
  for (int i = 0; i < 500; ++i) {
    f.loop.Advance(120ms);
    f.Say(helper, f.Report(helper, 0s));
  }
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(0s)));
}

TEST(SessionDesk, StepsOfTheCalendarDoNotMatter) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
  for (const auto step : {-24h, 48h}) {
    f.clock.StepWall(step);
    f.loop.Advance(5s);
    f.Say(helper, f.Report(helper, 1h));
    EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(1h)));
  }
}

// No timer shorter than 5 s runs while helpers report and are believed.
TEST(SessionDesk, SleepsWhileAllIsWell) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(f.loop.UntilNextTimer().has_value());
    EXPECT_EQ(f.loop.timer_count(), 1u);
    f.loop.Advance(5s);
    f.Say(helper, f.Report(helper, 1h + i * 5s));
  }
  f.desk = nullptr;
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

// logind leaves a login to its helper; one that sees no input there must not take it.
TEST(SessionDesk, AHelperSeesInputOnlyWhileASourceOfItsTells) {
  Fixture f;
  const auto sees = [&] { return f.desk->helpers().at(0).sees_input; };
  FakeHelper& helper = f.Connect();
  f.Say(helper, SessionHello{.session = "2", .session_type = "wayland"});
  EXPECT_FALSE(sees()) << "it has not reported";
  SessionReport report = f.Report(helper, 90s);
  f.Say(helper, report);
  EXPECT_TRUE(sees());
  report = f.Report(helper, 0ms);
  report.presence[0].known = false;
  report.presence.push_back({.source = "gamepads",
                             .known = true,
                             .idle_for = 90s,
                             .kind = PresenceReport::Kind::kGamepad});
  f.Say(helper, report);
  EXPECT_FALSE(sees()) << "a gamepad at rest tells nothing of the keyboard";
  f.Say(helper, f.Report(helper, 1s));
  EXPECT_TRUE(sees());
  f.clock.Advance(16s);
  EXPECT_FALSE(sees()) << "it fell silent";
}

TEST(SessionDesk, AHelperThatDoesNotKnowItsLoginSeesNoneOfThoseFromAfar) {
  const SessionDesk::HelperView started_by_2{.user_id = kAnna, .session = "2", .sees_input = true};
  EXPECT_TRUE(started_by_2.SeesInputOf("2", kAnna, LoginKind::kHere));
  EXPECT_TRUE(started_by_2.SeesInputOf("2", kAnna, LoginKind::kRemote));
  EXPECT_FALSE(started_by_2.SeesInputOf("3", kAnna, LoginKind::kHere));
  EXPECT_FALSE(started_by_2.SeesInputOf("2", kBen, LoginKind::kHere));
  const SessionDesk::HelperView by_nobody{.user_id = kAnna, .sees_input = true};
  EXPECT_TRUE(by_nobody.SeesInputOf("2", kAnna, LoginKind::kHere));
  EXPECT_TRUE(by_nobody.SeesInputOf("c1", kAnna, LoginKind::kLoginScreen));
  EXPECT_FALSE(by_nobody.SeesInputOf("3", kAnna, LoginKind::kRemote));
  EXPECT_FALSE(by_nobody.SeesInputOf("2", kBen, LoginKind::kHere));
}

}  // namespace
}  // namespace fallow
