#include "agent/daemon/session_desk.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_stream.h"
#include "protocol/limits.h"
#include "protocol/session_messages.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::int64_t kAnna = 1000;
constexpr std::int64_t kBen = 1001;

// One helper's end of a connection.
struct Helper {
  std::unique_ptr<FakeStream> stream;
  std::string read;
  std::uint64_t sequence = 0;
  bool ended = false;

  // The wishes of the desk so far.
  std::vector<bool> Wishes() const {
    FrameReader reader(kMaxSessionFrameBytes);
    reader.Feed(AsBytes(read));
    std::vector<bool> wishes;
    while (const auto payload = reader.Next().value()) {
      wishes.push_back(std::get<WatchInput>(DecodeToSession(*payload).value()).closely);
    }
    return wishes;
  }
};

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  int changes = 0;
  SessionDeskOptions options{
      .user_name = [](std::int64_t id) { return id == kAnna ? "anna" : fmt::to_string(id); }};
  std::unique_ptr<SessionDesk> desk =
      std::make_unique<SessionDesk>(loop, clock, options, [this] { ++changes; });
  std::deque<Helper> helpers;

  Helper& Connect(std::int64_t user = kAnna) {
    auto [ours, theirs] = FakeStream::MakePair(loop);
    Helper& helper = helpers.emplace_back();
    helper.stream = std::move(ours);
    helper.stream->SetHandler(
        {.on_data = [&helper](ByteView bytes) { helper.read += AsText(bytes); },
         .on_end = [&helper](const Status&) { helper.ended = true; },
         .on_writable = nullptr});
    desk->Accept(std::move(theirs), user, 77);
    loop.RunPending();
    return helper;
  }
  void Say(Helper& helper, const FromSession& message) {
    helper.stream->Write(EncodeFrame(message));
    loop.RunPending();
  }
  SessionReport Report(Helper& helper, milliseconds idle_for) {
    return {.sequence = ++helper.sequence,
            .read_at = clock.Steady(),
            .presence = {{.source = "x11 :0", .known = true, .idle_for = idle_for}}};
  }
  // A helper that has said hello and reported.
  Helper& Introduce(milliseconds idle_for, std::int64_t user = kAnna, std::string session = "2") {
    Helper& helper = Connect(user);
    Say(helper, SessionHello{.session = std::move(session), .session_type = "x11"});
    Say(helper, Report(helper, idle_for));
    return helper;
  }
  int TakeChanges() { return std::exchange(changes, 0); }
};

auto IsDistrusted(const std::string& why) {
  return AllOf(Field(&PresenceReading::kind, PresenceKind::kDistrusted),
               Field(&PresenceReading::known, true),
               Field(&PresenceReading::idle_for, milliseconds(0)),
               Field(&PresenceReading::source, HasSubstr("session helper (")),
               Field(&PresenceReading::detail, HasSubstr(why)));
}
auto IsIdleFor(milliseconds idle_for) {
  return AllOf(Field(&PresenceReading::kind, PresenceKind::kInput),
               Field(&PresenceReading::known, true), Field(&PresenceReading::idle_for, idle_for));
}

TEST(SessionDesk, TellsWhatAHelperReports) {
  Fixture f;
  Helper& helper = f.Connect();
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

TEST(SessionDesk, CallsForALookOnlyWhenThereIsNews) {
  Fixture f;
  Helper& helper = f.Introduce(90s);
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
  Helper& early = f.Introduce(1h);
  EXPECT_THAT(early.Wishes(), IsEmpty());
  f.desk->WatchClosely(true);
  f.desk->WatchClosely(true);
  Helper& late = f.Introduce(1h, kBen);
  f.desk->WatchClosely(false);
  f.loop.RunPending();
  EXPECT_THAT(early.Wishes(), ElementsAre(true, false));
  EXPECT_THAT(late.Wishes(), ElementsAre(true, false));
}

TEST(SessionDesk, KnowsWhenInputThatWasToldAtOnceWasSeen) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
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

TEST(SessionDesk, ASilentHelperCountsAsUseUntilItSpeaksAgain) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  (void)f.TakeChanges();
  f.loop.Advance(15s);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(1h)));
  f.loop.Advance(10ms);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("said nothing for more than 15 s")));
  EXPECT_THAT(f.desk->signals(), IsEmpty());
  EXPECT_EQ(f.TakeChanges(), 1) << "without a call from outside";
  f.loop.Advance(10min);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("said nothing")));
  f.Say(helper, f.Report(helper, 1h));
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(1h)));
  EXPECT_EQ(f.TakeChanges(), 1);
}

TEST(SessionDesk, AReportOfLongAgoIsNoNewWord) {
  Fixture f;
  Helper& helper = f.Connect();
  f.Say(helper, SessionHello{});
  SessionReport report = f.Report(helper, 1h);
  f.clock.Advance(16s);
  f.Say(helper, report);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("said nothing")));
}

TEST(SessionDesk, AFarewellLeavesNothing) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  (void)f.TakeChanges();
  f.Say(helper, SessionGoodbye{});
  EXPECT_THAT(f.desk->presence(), IsEmpty());
  EXPECT_THAT(f.desk->helpers(), IsEmpty());
  EXPECT_EQ(f.TakeChanges(), 1);
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(SessionDesk, AVanishedHelperCountsAsUseForAWhileThenNobodyTells) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  f.clock.Advance(3s);
  (void)f.TakeChanges();
  helper.stream = nullptr;
  f.loop.RunPending();
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("vanished without a farewell")));
  EXPECT_THAT(f.desk->helpers(), IsEmpty());
  EXPECT_EQ(f.TakeChanges(), 1);
  f.loop.Advance(11s);
  EXPECT_THAT(f.desk->presence(), SizeIs(1));
  f.loop.Advance(1s + 10ms);
  EXPECT_THAT(f.desk->presence(), IsEmpty());
  EXPECT_EQ(f.TakeChanges(), 1);
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(SessionDesk, ANewHelperOfTheSameLoginTakesAVanishedOnesPlace) {
  Fixture f;
  f.Introduce(1h, kAnna, "2").stream = nullptr;
  f.loop.RunPending();
  f.Introduce(1h, kBen, "3");
  EXPECT_THAT(f.desk->presence(), SizeIs(2)) << "another login proves nothing about it";
  f.Introduce(30min, kAnna, "2");
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(1h), IsIdleFor(30min)));
}

TEST(SessionDesk, AFloodingHelperIsDisconnectedAndCountsAsUse) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  (void)f.TakeChanges();
  Bytes flood;
  for (int i = 0; i < 5000; ++i) {
    const Bytes frame = EncodeFrame(FromSession(f.Report(helper, 1h)));
    flood.insert(flood.end(), frame.begin(), frame.end());
  }
  helper.stream->Write(flood);
  f.loop.RunPending();
  EXPECT_TRUE(helper.ended);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("more than 100 messages within 10 s")));
  EXPECT_EQ(f.TakeChanges(), 1);
  // A new connection of that user is no way out.
  f.loop.Advance(1s);
  EXPECT_TRUE(f.Connect().ended);
  EXPECT_FALSE(f.Connect(kBen).ended) << "others are not concerned";
  f.loop.Advance(59s - 1ms);
  EXPECT_THAT(f.desk->presence(), Contains(IsDistrusted("more than 100 messages")));
  f.loop.Advance(10ms);
  EXPECT_THAT(f.desk->presence(), Not(Contains(IsDistrusted("more than 100 messages"))));
  EXPECT_FALSE(f.Connect().ended);
}

TEST(SessionDesk, SteadyReportsAreNoFlood) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  for (int i = 0; i < 500; ++i) {
    f.loop.Advance(120ms);
    f.Say(helper, f.Report(helper, 0s));
  }
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(0s)));
}

TEST(SessionDesk, WhatCannotBeReadEndsTheConnection) {
  Fixture f;
  const auto after = [&](Bytes bytes, std::int64_t user) {
    Helper& helper = f.Introduce(1h, user);
    helper.stream->Write(std::move(bytes));
    f.loop.RunPending();
    EXPECT_TRUE(helper.ended);
    return f.desk->presence().back();
  };
  EXPECT_THAT(after({0xff, 0xff, 0xff, 0xff}, 1), IsDistrusted("payload of 4294967295 bytes"));
  EXPECT_THAT(after({2, 0, 0, 0, 0xff, 0xff}, 2), IsDistrusted("sent what cannot be read"));
  EXPECT_THAT(after(EncodeFrame(FromSession(SessionHello{})), 3), IsDistrusted("twice"));
  Helper absurd;
  SessionReport report = f.Report(absurd, -1ms);
  EXPECT_THAT(after(EncodeFrame(FromSession(report)), 4), IsDistrusted("idle_ms"));
}

TEST(SessionDesk, AHelperIntroducesItselfFirstAndSpeaksOurVersion) {
  Fixture f;
  Helper& rude = f.Connect(1);
  f.Say(rude, f.Report(rude, 1h));
  EXPECT_TRUE(rude.ended);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("before it introduced itself")));
  Helper& newer = f.Connect(2);
  f.Say(newer, SessionHello{.protocol_version = kSessionProtocolVersion + 1});
  EXPECT_TRUE(newer.ended);
  EXPECT_THAT(f.desk->presence().back(), IsDistrusted("speaks version 2"));
  f.Connect(3);
  f.loop.Advance(15s + 10ms);
  EXPECT_THAT(f.desk->presence().back(), IsDistrusted("connected, but does not report"));
}

TEST(SessionDesk, ALiarIsNotBelievedForAMinuteAfterItsLastLie) {
  Fixture f;
  Helper& helper = f.Introduce(0s);
  f.loop.Advance(5s);
  (void)f.TakeChanges();
  f.Say(helper, f.Report(helper, 1h));
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("saw its last input 3595.0 s before")));
  EXPECT_EQ(f.TakeChanges(), 1);
  EXPECT_THAT(f.desk->helpers()[0].trouble, HasSubstr("saw its last input"));
  for (int i = 1; i <= 11; ++i) {
    f.loop.Advance(5s);
    f.Say(helper, f.Report(helper, 1h + i * 5s));
    EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("last input"))) << i;
  }
  f.loop.Advance(5s + 10ms);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(1h + 55s)));
  EXPECT_EQ(f.desk->helpers()[0].trouble, "");
}

TEST(SessionDesk, ALieOutlivesItsConnection) {
  Fixture f;
  for (const bool says_goodbye : {true, false}) {
    Helper& helper = f.Introduce(0s, says_goodbye ? kAnna : kBen);
    f.Say(helper, f.Report(helper, 1h));
    if (says_goodbye) f.Say(helper, SessionGoodbye{});
    helper.stream = nullptr;
    f.loop.RunPending();
  }
  f.loop.Advance(59s);
  EXPECT_THAT(f.desk->presence(),
              ElementsAre(IsDistrusted("last input"), IsDistrusted("last input")));
  EXPECT_TRUE(f.Connect(kAnna).ended);
  f.loop.Advance(2s);
  EXPECT_THAT(f.desk->presence(), IsEmpty());
}

TEST(SessionDesk, InputInTheFutureIsALie) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  SessionReport report = f.Report(helper, 0s);
  report.seen_input_at = f.clock.Steady() + 1s;
  f.Say(helper, report);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("in the future")));
  EXPECT_EQ(f.desk->last_input(), std::nullopt);
}

TEST(SessionDesk, OneUsersLieTakesNothingFromAnothersReadings) {
  Fixture f;
  f.Introduce(2s, kAnna);
  f.Introduce(10h, kBen);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsIdleFor(2s), IsIdleFor(10h)));
}

TEST(SessionDesk, WhoFindsNoPlaceCountsAsUse) {
  Fixture f;
  for (int i = 0; i < 4; ++i) f.Introduce(1h, kAnna, fmt::to_string(i));
  EXPECT_TRUE(f.Connect(kAnna).ended);
  EXPECT_THAT(f.desk->presence().back(), IsDistrusted("4 helpers of this user report already"));
  for (int i = 0; i < 12; ++i) f.Introduce(1h, 2000 + i);
  EXPECT_TRUE(f.Connect(kBen).ended);
  EXPECT_THAT(f.desk->presence().back(), IsDistrusted("16 helpers report already"));
  EXPECT_THAT(f.desk->helpers(), SizeIs(16));
}

TEST(SessionDesk, WhatIsRememberedOfTheDepartedIsBounded) {
  Fixture f;
  for (int user = 0; user < 100; ++user) {
    Helper& helper = f.Connect(user);
    f.Say(helper, f.Report(helper, 1h));
    ASSERT_TRUE(helper.ended);
  }
  EXPECT_THAT(f.desk->presence(), SizeIs(32));
  f.loop.Advance(61s);
  EXPECT_THAT(f.desk->presence(), IsEmpty());
}

TEST(SessionDesk, AHelperThatDoesNotListenIsNotBelieved) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
  helper.stream->PauseReading();
  for (int i = 0; i < 100'000 && f.desk->helpers()[0].trouble.empty(); ++i) {
    f.desk->WatchClosely(i % 2 == 0);
  }
  EXPECT_EQ(f.desk->helpers()[0].trouble, "does not read what it is told");
}

TEST(SessionDesk, StepsOfTheCalendarDoNotMatter) {
  Fixture f;
  Helper& helper = f.Introduce(1h);
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
  Helper& helper = f.Introduce(1h);
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
  Helper& helper = f.Connect();
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
