// Helpers that are silent, flood, lie, vanish or find no place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/session_desk_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Fixture = SessionDeskFixture;

TEST(SessionDesk, ASilentHelperCountsAsUseUntilItSpeaksAgain) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
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
  FakeHelper& helper = f.Connect();
  f.Say(helper, SessionHello{});
  SessionReport report = f.Report(helper, 1h);
  f.clock.Advance(16s);
  f.Say(helper, report);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("said nothing")));
}

TEST(SessionDesk, AVanishedHelperCountsAsUseForAWhileThenNobodyTells) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
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
  FakeHelper& helper = f.Introduce(1h);
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

TEST(SessionDesk, WhatCannotBeReadEndsTheConnection) {
  Fixture f;
  const auto after = [&](Bytes bytes, std::int64_t user) {
    FakeHelper& helper = f.Introduce(1h, user);
    helper.stream->Write(std::move(bytes));
    f.loop.RunPending();
    EXPECT_TRUE(helper.ended);
    return f.desk->presence().back();
  };
  EXPECT_THAT(after({0xff, 0xff, 0xff, 0xff}, 1), IsDistrusted("payload of 4294967295 bytes"));
  EXPECT_THAT(after({2, 0, 0, 0, 0xff, 0xff}, 2), IsDistrusted("sent what cannot be read"));
  EXPECT_THAT(after(EncodeFrame(FromSession(SessionHello{})), 3), IsDistrusted("twice"));
  FakeHelper absurd;
  SessionReport report = f.Report(absurd, -1ms);
  EXPECT_THAT(after(EncodeFrame(FromSession(report)), 4), IsDistrusted("idle_ms"));
}

TEST(SessionDesk, AHelperIntroducesItselfFirstAndSpeaksOurVersion) {
  Fixture f;
  FakeHelper& rude = f.Connect(1);
  f.Say(rude, f.Report(rude, 1h));
  EXPECT_TRUE(rude.ended);
  EXPECT_THAT(f.desk->presence(), ElementsAre(IsDistrusted("before it introduced itself")));
  FakeHelper& newer = f.Connect(2);
  f.Say(newer, SessionHello{.protocol_version = kSessionProtocolVersion + 1});
  EXPECT_TRUE(newer.ended);
  EXPECT_THAT(f.desk->presence().back(), IsDistrusted("speaks version 2"));
  f.Connect(3);
  f.loop.Advance(15s + 10ms);
  EXPECT_THAT(f.desk->presence().back(), IsDistrusted("connected, but does not report"));
}

TEST(SessionDesk, ALiarIsNotBelievedForAMinuteAfterItsLastLie) {
  Fixture f;
  FakeHelper& helper = f.Introduce(0s);
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
    FakeHelper& helper = f.Introduce(0s, says_goodbye ? kAnna : kBen);
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
  FakeHelper& helper = f.Introduce(1h);
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
    FakeHelper& helper = f.Connect(user);
    f.Say(helper, f.Report(helper, 1h));
    ASSERT_TRUE(helper.ended);
  }
  EXPECT_THAT(f.desk->presence(), SizeIs(32));
  f.loop.Advance(61s);
  EXPECT_THAT(f.desk->presence(), IsEmpty());
}

TEST(SessionDesk, AHelperThatDoesNotListenIsNotBelieved) {
  Fixture f;
  FakeHelper& helper = f.Introduce(1h);
  helper.stream->PauseReading();
  for (int i = 0; i < 100'000 && f.desk->helpers()[0].trouble.empty(); ++i) {
    f.desk->WatchClosely(i % 2 == 0);
  }
  EXPECT_EQ(f.desk->helpers()[0].trouble, "does not read what it is told");
}

}  // namespace
}  // namespace fallow
