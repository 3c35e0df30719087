#include "agent/session/session_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/session/daemon_link.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_presence_source.h"
#include "platform/fake/fake_session_signal_source.h"
#include "platform/fake/fake_stream.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The daemon's end of a connection: what it heard.
struct Daemon {
  std::unique_ptr<FakeStream> stream;
  FrameReader reader{kMaxSessionFrameBytes};
  std::vector<FromSession> heard;
  bool ended = false;

  explicit Daemon(std::unique_ptr<FakeStream> end) : stream(std::move(end)) {
    stream->SetHandler({.on_data =
                            [this](ByteView bytes) {
                              reader.Feed(bytes);
                              while (const auto payload = reader.Next().value()) {
                                heard.push_back(DecodeFromSession(*payload).value());
                              }
                            },
                        .on_end = [this](const Status&) { ended = true; },
                        .on_writable = nullptr});
  }
  // The reports since the last call.
  std::vector<SessionReport> TakeReports() {
    std::vector<SessionReport> reports;
    for (const FromSession& message : std::exchange(heard, {})) {
      if (const auto* report = std::get_if<SessionReport>(&message)) reports.push_back(*report);
    }
    return reports;
  }
};

// Two presence sources and a signal, which are there from the start.
struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  FakePresenceSource* display = nullptr;
  FakePresenceSource* gamepads = nullptr;
  FakeSessionSignalSource* game = nullptr;
  bool display_can_await = true;
  std::vector<std::string> losses;
  int rests = 0;
  SessionReporter reporter{
      loop,
      clock,
      {.session = "2", .session_type = "x11", .desktop = "XFCE"},
      {Presence("x11 :0", display), Presence("gamepads", gamepads)},
      {{.absent = {.kind = SessionSignalKind::kGameMode, .source = "gamemode"},
        .open =
            [this] {
              auto made = std::make_unique<FakeSessionSignalSource>(SessionSignalKind::kGameMode,
                                                                    "gamemode");
              made->Become(false);
              game = made.get();
              return Result<std::unique_ptr<SessionSignalSource>>(std::move(made));
            }}},
      {.at_rest = [this] { ++rests; }}};

  SessionReporter::PresenceSet::Kind Presence(const std::string& name, FakePresenceSource*& place) {
    return {.absent = {.source = name}, .open = [this, name, &place] {
              auto made = std::make_unique<FakePresenceSource>(name, &loop);
              made->IdleFor(1h);
              made->can_await = display_can_await || name == "gamepads";
              place = made.get();
              return Result<std::unique_ptr<PresenceSource>>(std::move(made));
            }};
  }
  std::unique_ptr<Daemon> Connect() {
    auto [ours, theirs] = FakeStream::MakePair(loop);
    auto daemon = std::make_unique<Daemon>(std::move(theirs));
    reporter.Attach(std::move(ours), [this](const std::string& why) { losses.push_back(why); });
    loop.RunPending();
    return daemon;
  }
  void Watch(Daemon& daemon, bool closely) {
    daemon.stream->Write(EncodeFrame(ToSession(WatchInput{closely})));
    loop.RunPending();
  }
};

TEST(SessionReporter, RestsBetweenHeartbeatsUnlessItWatchesClosely) {
  Fixture f;
  const auto daemon = f.Connect();
  f.loop.Advance(10s);
  EXPECT_EQ(f.rests, 2);
  f.Watch(*daemon, true);
  f.loop.Advance(10s);
  EXPECT_EQ(f.rests, 2);
}

TEST(SessionReporter, IntroducesTheLoginAndReportsEveryFiveSeconds) {
  Fixture f;
  const auto daemon = f.Connect();
  ASSERT_THAT(daemon->heard, SizeIs(2));
  EXPECT_EQ(daemon->heard[0],
            FromSession(SessionHello{.session = "2", .session_type = "x11", .desktop = "XFCE"}));
  const auto first = daemon->TakeReports();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].read_at, f.clock.Steady());
  EXPECT_EQ(first[0].seen_input_at, std::nullopt);
  EXPECT_THAT(first[0].presence,
              ElementsAre(PresenceReport{.source = "x11 :0", .known = true, .idle_for = 1h},
                          PresenceReport{.source = "gamepads", .known = true, .idle_for = 1h}));
  EXPECT_THAT(first[0].signals,
              ElementsAre(SignalReport{
                  .source = "gamemode", .known = true, .kind = SignalReport::Kind::kGameMode}));
  f.loop.Advance(14'999ms);
  EXPECT_THAT(daemon->TakeReports(), SizeIs(2));
  f.display->IdleFor(7s);
  f.loop.Advance(1ms);
  const auto next = daemon->TakeReports();
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_EQ(next[0].presence[0].idle_for, 7s);
  EXPECT_GT(next[0].sequence, first[0].sequence);
}

TEST(SessionReporter, InputIsNoEventUnlessItIsWatchedClosely) {
  Fixture f;
  const auto daemon = f.Connect();
  (void)daemon->TakeReports();
  EXPECT_FALSE(f.display->awaited());
  EXPECT_EQ(f.loop.timer_count(), 1u) << "the heartbeat";
  f.display->MakeInput();
  f.loop.Advance(4s);
  EXPECT_THAT(daemon->TakeReports(), IsEmpty());
}

TEST(SessionReporter, TellsInputAtOnceWhileWatchedClosely) {
  Fixture f;
  const auto daemon = f.Connect();
  f.loop.Advance(2s);
  f.Watch(*daemon, true);
  EXPECT_TRUE(f.display->awaited());
  EXPECT_TRUE(f.gamepads->awaited());
  EXPECT_THAT(daemon->TakeReports(), SizeIs(2)) << "what came before it was waited for";
  f.clock.Advance(1'500ms);
  const int reads = f.gamepads->read_count();
  f.display->MakeInput();
  f.loop.RunPending();
  const auto reports = daemon->TakeReports();
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].seen_input_at, f.clock.Steady());
  EXPECT_EQ(reports[0].read_at, f.clock.Steady());
  EXPECT_EQ(reports[0].presence[0].idle_for, 0ms);
  EXPECT_EQ(reports[0].presence[1].idle_for, 1h + 1'500ms) << "as time passed";
  EXPECT_EQ(f.gamepads->read_count(), reads) << "no source is asked while an owner waits";
  f.Watch(*daemon, false);
  EXPECT_FALSE(f.display->awaited());
}

TEST(SessionReporter, TellsInputThatComesBetweenAReadingAndTheWait) {
  Fixture f;
  const auto daemon = f.Connect();
  f.loop.Advance(2s);
  (void)daemon->TakeReports();
  f.display->MakeInputAfterReading();
  f.Watch(*daemon, true);
  const auto reports = daemon->TakeReports();
  ASSERT_THAT(reports, SizeIs(2));
  EXPECT_EQ(reports[0].presence[0].idle_for, 1h);
  EXPECT_EQ(reports[1].presence[0].idle_for, 0ms);
  EXPECT_EQ(reports[1].seen_input_at, f.clock.Steady());
}

TEST(SessionReporter, TellsInputBeforeTheWishToWatchWithItsOwnTime) {
  Fixture f;
  const auto daemon = f.Connect();
  (void)daemon->TakeReports();
  f.display->MakeInput();
  f.display->IdleFor(3s);
  f.loop.Advance(3s);
  f.Watch(*daemon, true);
  const auto reports = daemon->TakeReports();
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].presence[0].idle_for, 3s);
  EXPECT_EQ(reports[0].seen_input_at, std::nullopt);
}

TEST(SessionReporter, TellsAtMostFourInputsASecond) {
  Fixture f;
  const auto daemon = f.Connect();
  f.Watch(*daemon, true);
  (void)daemon->TakeReports();
  for (int i = 0; i < 200; ++i) {
    f.display->MakeInput();
    f.gamepads->MakeInput();
    f.loop.Advance(5ms);
  }
  const auto reports = daemon->TakeReports();
  EXPECT_LE(reports.size(), 5u);
  EXPECT_GE(reports.size(), 4u);
  for (const SessionReport& report : reports) EXPECT_TRUE(report.seen_input_at.has_value());
  f.loop.Advance(1s);
  (void)daemon->TakeReports();
  EXPECT_TRUE(f.display->awaited()) << "for the next";
}

TEST(SessionReporter, PollsASourceThatCannotWait) {
  Fixture f;
  f.display_can_await = false;
  const auto daemon = f.Connect();
  f.Watch(*daemon, true);
  f.loop.Advance(1s);
  f.display->IdleFor(1h + 1s);
  f.loop.Advance(250ms);
  (void)daemon->TakeReports();
  f.display->IdleFor(100ms);
  f.loop.Advance(250ms);
  const auto reports = daemon->TakeReports();
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].seen_input_at, f.clock.Steady());
  EXPECT_EQ(reports[0].presence[0].idle_for, 0ms);
  f.Watch(*daemon, false);
  f.loop.Advance(250ms);
  EXPECT_EQ(f.loop.timer_count(), 1u) << "the heartbeat alone";
}

TEST(SessionReporter, APolledSourceThatBreaksCountsAsUse) {
  Fixture f;
  f.display_can_await = false;
  const auto daemon = f.Connect();
  f.Watch(*daemon, true);
  (void)daemon->TakeReports();
  f.display->CannotTell("the server went away");
  f.loop.Advance(250ms);
  ASSERT_THAT(daemon->TakeReports(),
              ElementsAre(Field(&SessionReport::seen_input_at, std::optional(f.clock.Steady()))));
}

// A display server that is busy for a moment ends the wait and is told as input. A daemon holds
// what it is told against what it was told before.
TEST(SessionReporter, WhatWasToldAsInputIsNotTakenBack) {
  for (const bool can_await : {true, false}) {
    Fixture f;
    f.display_can_await = can_await;
    const auto daemon = f.Connect();
    f.Watch(*daemon, true);
    f.display->CannotTell("the server does not answer");
    f.display->MakeInput();
    f.loop.Advance(250ms);
    ASSERT_FALSE(daemon->TakeReports().empty());
    f.display->IdleFor(1h);
    f.loop.Advance(5s);
    const auto reports = daemon->TakeReports();
    ASSERT_FALSE(reports.empty());
    EXPECT_TRUE(reports.back().presence[0].known);
    EXPECT_LE(reports.back().presence[0].idle_for, 5'250ms);
    EXPECT_GE(reports.back().presence[0].idle_for, 4s);
  }
}

TEST(SessionReporter, TellsASignalAtOnceThenAtMostFourTimesASecond) {
  Fixture f;
  const auto daemon = f.Connect();
  (void)daemon->TakeReports();
  f.display->IdleFor(2s);
  f.game->Become(true, "2 games");
  f.loop.RunPending();
  const auto reports = daemon->TakeReports();
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].seen_input_at, std::nullopt);
  EXPECT_EQ(reports[0].signals[0].active, true);
  EXPECT_EQ(reports[0].signals[0].detail, "2 games");
  EXPECT_EQ(reports[0].presence[0].idle_for, 2s) << "read anew";
  for (int i = 0; i < 100; ++i) {
    f.game->Become(i % 2 == 0);
    f.loop.Advance(10ms);
  }
  EXPECT_LE(daemon->TakeReports().size(), 5u);
  f.loop.Advance(1s);
  EXPECT_EQ(f.loop.timer_count(), 1u) << "the heartbeat alone";
}

TEST(SessionReporter, WhatSourcesSayIsMadeFitToReport) {
  Fixture f;
  const auto daemon = f.Connect();
  (void)daemon->TakeReports();
  f.display->IdleFor(-5s, "two\nlines\xff");
  f.game->CannotTell(std::string(10'000, 'x'));
  f.loop.Advance(5s);
  const auto reports = daemon->TakeReports();
  ASSERT_FALSE(reports.empty());
  EXPECT_EQ(reports.back().presence[0].idle_for, 0ms);
  EXPECT_EQ(reports.back().presence[0].detail, "two?lines?");
  EXPECT_THAT(reports.back().signals[0].detail, SizeIs(kMaxSessionTextBytes));
}

TEST(SessionReporter, SaysGoodbyeAndNothingAfterIt) {
  Fixture f;
  const auto daemon = f.Connect();
  f.Watch(*daemon, true);
  (void)daemon->TakeReports();
  f.reporter.SayGoodbye();
  f.game->Become(true);
  f.display->MakeInput();
  f.loop.RunPending();
  EXPECT_THAT(daemon->heard, ElementsAre(FromSession(SessionGoodbye{})));
  EXPECT_TRUE(daemon->ended);
  daemon->stream = nullptr;
  f.loop.RunPending();
  EXPECT_THAT(f.losses, SizeIs(1));
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

TEST(SessionReporter, LosesADaemonThatHangsUpBabblesOrDoesNotListen) {
  Fixture f;
  f.Connect()->stream = nullptr;
  f.loop.RunPending();
  EXPECT_THAT(f.losses, SizeIs(1));
  const auto babbler = f.Connect();
  babbler->stream->Write({1, 0, 0, 0, 0xff});
  f.loop.RunPending();
  EXPECT_THAT(f.losses.back(), testing::HasSubstr("cannot be read"));
  EXPECT_TRUE(babbler->ended);
  const auto deaf = f.Connect();
  deaf->stream->PauseReading();
  f.loop.Advance(3h);
  EXPECT_EQ(f.losses.back(), "it does not listen");
  EXPECT_EQ(f.loop.timer_count(), 0u);
}

// ---- DaemonLink ---------------------------------------------------------------------------------

struct LinkFixture : Fixture {
  bool there = false;
  int tries = 0;
  std::unique_ptr<Daemon> daemon;
  DaemonLink link{loop, clock, reporter, [this]() -> Result<std::unique_ptr<ByteStream>> {
                    ++tries;
                    if (!there) return Fail(ErrorCode::kUnavailable, "nobody serves");
                    auto [ours, theirs] = FakeStream::MakePair(loop);
                    daemon = std::make_unique<Daemon>(std::move(theirs));
                    return std::move(ours);
                  }};
};

TEST(DaemonLink, TriesEverMoreSeldomUntilTheDaemonIsThere) {
  LinkFixture f;
  f.link.Start();
  EXPECT_EQ(f.tries, 1);
  f.loop.Advance(5s);
  EXPECT_EQ(f.tries, 2);
  f.loop.Advance(10s);
  EXPECT_EQ(f.tries, 3);
  f.loop.Advance(20s);
  EXPECT_EQ(f.tries, 4);
  EXPECT_EQ(f.display, nullptr) << "no source is opened for nobody";
  f.there = true;
  f.loop.Advance(30s);
  ASSERT_NE(f.daemon, nullptr);
  EXPECT_THAT(f.daemon->TakeReports(), SizeIs(1));
}

TEST(DaemonLink, ComesBackToARestartedDaemonButNotSoonToOneThatRefuses) {
  LinkFixture f;
  f.there = true;
  f.link.Start();
  f.loop.Advance(1min);
  f.daemon->stream = nullptr;
  f.loop.Advance(5s + 1ms);
  EXPECT_EQ(f.tries, 2);
  for (int i = 0; i < 5; ++i) {
    f.daemon->stream = nullptr;
    f.loop.Advance(30s + 1ms);
  }
  const int before = f.tries;
  f.daemon->stream = nullptr;
  f.loop.Advance(29s);
  EXPECT_EQ(f.tries, before);
}

TEST(DaemonLink, EndsWhenTheDaemonHasHeardIt) {
  LinkFixture f;
  f.there = true;
  f.link.Start();
  f.loop.RunPending();
  bool ended = false;
  f.link.End(500ms, [&] { ended = true; });
  f.loop.RunPending();
  EXPECT_FALSE(ended);
  EXPECT_EQ(f.daemon->heard.back(), FromSession(SessionGoodbye{}));
  f.daemon->stream = nullptr;
  f.loop.RunPending();
  EXPECT_TRUE(ended);
}

TEST(DaemonLink, EndsWithoutADaemonAtOnceAndWithAHangingOneSoon) {
  LinkFixture f;
  f.link.Start();
  bool ended = false;
  f.link.End(500ms, [&] { ended = true; });
  EXPECT_TRUE(ended);
  LinkFixture hanging;
  hanging.there = true;
  hanging.link.Start();
  ended = false;
  hanging.link.End(500ms, [&] { ended = true; });
  hanging.loop.Advance(499ms);
  EXPECT_FALSE(ended);
  hanging.loop.Advance(1ms);
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace fallow
