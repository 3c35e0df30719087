// Times at which no agent ran, as the explain log tells them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "agent/daemon/policy/policy_history.h"
#include "agent/daemon/policy/policy_log.h"
#include "tests/unit/agent/daemon/policy/memory_log_files.h"
#include "tests/unit/agent/daemon/policy/random_signals.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Cause = Absence::Cause;

// A machine whose agent begins, decides, ends and is killed. From 10:00:00 on.
struct Life : MachineWorld {
  FakePolicyLogFiles files;
  std::optional<PolicyLog> log;  // of the agent that runs
  std::optional<WallTime> sign;  // outside the log
  bool in_memory = true;         // there is a place for signs
  WallTime wall() const { return now.wall; }

  void Begin() {
    log.emplace(files);
    memory = {};
    ASSERT_TRUE(log->Mark({.kind = RunMark::Kind::kBegan, .moment = now, .last_sign = sign}));
  }
  // An agent before the first that wrote when it began.
  void BeginAsOfOld() {
    log.emplace(files);
    memory = {};
  }
  void LookAfter(std::chrono::milliseconds time) {
    Pass(time);
    if (in_memory) sign = now.wall;
    ASSERT_TRUE(log->Record(DecideEntry(settings, signals, now, memory)).has_value());
  }
  // As an agent looks, until so much has passed.
  void LookFor(std::chrono::milliseconds time) {
    for (const auto end = now.wall + time; now.wall < end;) LookAfter(5s);
  }
  void End() {
    ASSERT_TRUE(log->Mark({.kind = RunMark::Kind::kEnded, .moment = now, .last_sign = {}}));
    log.reset();
  }
  void Kill() { log.reset(); }
  // The machine goes down: what is in memory goes with it.
  void GoDown() {
    log.reset();
    sign.reset();
  }
  void SetClockBack(std::chrono::minutes by) {
    constexpr int kDay = 24 * 60, kWeek = 7 * kDay;
    now.wall -= by;
    const auto minute = now.weekday * kDay + now.minute_of_day - static_cast<int>(by.count());
    now.weekday = (minute % kWeek + kWeek) % kWeek / kDay;
    now.minute_of_day = (minute % kDay + kDay) % kDay;
  }
  void MarkClock(std::chrono::milliseconds lost) {
    if (in_memory) sign = now.wall;
    ASSERT_TRUE(log->Mark({.kind = RunMark::Kind::kClockSetBack,
                           .moment = now,
                           .last_sign = {},
                           .clock_was = now.wall + lost}));
  }
  void OwnerComes() { signals.presence = {Idle("x11 :0", 3s)}; }
  void OwnerLeaves() { signals.presence = {Idle("x11 :0", 1h)}; }
  PolicyHistory History() { return PolicyHistory::Read(files).value(); }
};

TEST(Absence, AnAgentThatEndedIsAbsentUntilTheNextBegins) {
  Life life;
  life.Begin();
  life.LookFor(1h);
  const WallTime ended = life.wall();
  life.End();
  life.Pass(10h);
  const WallTime began = life.wall();
  life.Begin();
  life.LookAfter(100ms);
  const PolicyHistory history = life.History();
  EXPECT_EQ(history.AbsenceAt(ended - 1ms), nullptr);
  for (const WallTime time : {ended, ended + 5h, began - 1ms}) {
    const Absence* absence = history.AbsenceAt(time);
    ASSERT_NE(absence, nullptr);
    EXPECT_EQ(absence->cause, Cause::kEnded);
    EXPECT_EQ(absence->since, ended);
    EXPECT_EQ(absence->until->wall, began);
  }
  EXPECT_EQ(history.AbsenceAt(life.wall()), nullptr);
  EXPECT_EQ(history.At(life.wall()), &history.entries().back());
}

TEST(Absence, AnAgentThatWasKilledIsAbsentFromItsLastSignOfLifeOn) {
  Life life;
  life.Begin();
  life.LookFor(3h);  // nothing happens: a single entry, three hours old by now
  ASSERT_THAT(life.History().entries(), SizeIs(1));
  const WallTime killed = life.wall();
  life.Kill();
  life.Pass(10min);
  life.Begin();
  life.LookAfter(100ms);
  const PolicyHistory history = life.History();
  EXPECT_EQ(history.AbsenceAt(killed - 1ms), nullptr);
  ASSERT_NE(history.AbsenceAt(killed + 1min), nullptr);
  EXPECT_EQ(history.AbsenceAt(killed + 1min)->cause, Cause::kKilled);
  EXPECT_EQ(history.AbsenceAt(killed + 1min)->since, killed);
}

// A power cut: nobody can tell how long the last decision held.
TEST(Absence, WithoutASignOfLifeOnlyTheLastLineIsKnown) {
  Life life;
  life.Begin();
  life.LookAfter(1s);
  const WallTime wrote = life.wall();
  life.LookFor(3h);
  life.GoDown();
  life.Pass(10min);
  life.Begin();
  life.LookAfter(100ms);
  const PolicyHistory history = life.History();
  const Absence* absence = history.AbsenceAt(wrote + 1h);
  ASSERT_NE(absence, nullptr);
  EXPECT_EQ(absence->cause, Cause::kUnknown);
  EXPECT_EQ(absence->since, wrote);
}

TEST(Absence, ASignOfAnEarlierAgentSaysNothingOfThisOne) {
  Life life;
  life.Begin();
  life.LookFor(1min);
  life.End();
  life.in_memory = false;
  life.Pass(10h);
  life.Begin();
  life.LookAfter(1s);
  const WallTime wrote = life.wall();
  life.Kill();
  life.Pass(1h);
  life.Begin();
  life.LookAfter(1s);
  const PolicyHistory history = life.History();
  ASSERT_NE(history.AbsenceAt(wrote + 1min), nullptr);
  EXPECT_EQ(history.AbsenceAt(wrote + 1min)->cause, Cause::kUnknown);
  EXPECT_EQ(history.AbsenceAt(wrote + 1min)->since, wrote);
}

TEST(Absence, ALogOfAnOlderAgentIsReadAndItsBeginningsAreSeen) {
  Life life;
  life.BeginAsOfOld();
  life.LookAfter(1s);
  life.OwnerComes();
  life.LookAfter(1s);
  const WallTime wrote = life.wall();
  life.Kill();
  life.Pass(10h);
  life.BeginAsOfOld();
  life.LookAfter(1s);
  const PolicyHistory history = life.History();
  EXPECT_EQ(history.unreadable_lines(), 0u);
  EXPECT_THAT(history.entries(), SizeIs(3));
  ASSERT_THAT(history.absences(), SizeIs(1));
  EXPECT_EQ(history.absences()[0].cause, Cause::kUnknown);
  EXPECT_EQ(history.absences()[0].since, wrote);
  EXPECT_EQ(history.absences()[0].until->wall, life.wall());
}

TEST(Absence, OneThatNobodyFollowedLastsUntilNow) {
  Life life;
  life.Begin();
  life.LookFor(1h);
  const WallTime killed = life.wall();
  life.Kill();
  PolicyHistory history = life.History();
  EXPECT_EQ(history.AbsenceAt(killed + 5h), nullptr) << "as far as the log alone tells it runs";
  history.NobodyRuns(life.sign);
  ASSERT_NE(history.AbsenceAt(killed + 5h), nullptr);
  EXPECT_EQ(history.AbsenceAt(killed + 5h)->since, killed);
  EXPECT_EQ(history.AbsenceAt(killed + 5h)->until, std::nullopt);
  EXPECT_EQ(history.AbsenceAt(killed - 1ms), nullptr);
}

TEST(Absence, AfterAnEndInGoodOrderThatNobodyRunsSaysNothingNew) {
  Life life;
  life.Begin();
  life.LookFor(1min);
  life.End();
  PolicyHistory history = life.History();
  history.NobodyRuns(life.sign);
  ASSERT_THAT(history.absences(), SizeIs(1));
  EXPECT_EQ(history.absences()[0].cause, Cause::kEnded);
}

TEST(Absence, WhatHoldsNowBeganWithTheAgentAtTheEarliest) {
  Life life;
  life.Begin();
  life.LookFor(1min);
  life.End();
  life.Pass(1h);
  life.Begin();
  life.LookAfter(1s);
  EXPECT_EQ(life.History().CurrentSince(), life.now);
}

TEST(Absence, AnAgentThatIsAloneInTheLogHasNone) {
  Life life;
  life.sign = life.wall() - 24h;  // its log was removed
  life.Begin();
  life.LookFor(1min);
  EXPECT_THAT(life.History().absences(), IsEmpty());
}

// How long it took nobody knows, but it took some time.
TEST(Absence, AClockThatWasSetBackWhileNoneRanIsSaidInsteadOfNoTime) {
  for (const bool ends : {true, false}) {
    Life life;
    life.Begin();
    life.LookFor(1h);
    const WallTime went = life.wall();
    ends ? life.End() : life.Kill();
    life.Pass(1min);
    life.SetClockBack(24h);
    const WallTime began = life.wall();
    life.Begin();
    life.LookAfter(1s);
    const PolicyHistory history = life.History();
    ASSERT_THAT(history.absences(), SizeIs(1));
    const Absence& absence = history.absences()[0];
    EXPECT_EQ(absence.since, went);
    EXPECT_EQ(absence.until->wall, began);
    EXPECT_TRUE(absence.clock_set_back());
    EXPECT_THAT(AbsenceSummary(absence),
                testing::HasSubstr("until 2026-07-27 11:01:00, by a clock that was set back "
                                   "meanwhile; the last was"));
    EXPECT_THAT(AbsenceText(absence, nullptr),
                testing::HasSubstr("no agent ran between 2026-07-28 11:00:00 and 2026-07-27 "
                                   "11:01:00, by a clock that was set back meanwhile\n"));
    EXPECT_EQ(history.AbsenceAt(life.wall()), nullptr) << "by the clock as it is, one runs";
  }
}

TEST(Absence, AClockThatWasSetBackBeforeAKillDoesNotHideWhenThatWas) {
  Life life;
  life.Begin();
  life.LookFor(1h);
  life.SetClockBack(3h);
  life.MarkClock(3h);
  life.LookFor(30min);
  const WallTime killed = life.wall();
  life.Kill();
  life.Pass(10min);
  const WallTime began = life.wall();
  life.Begin();
  life.LookAfter(0s);
  const PolicyHistory history = life.History();
  ASSERT_THAT(history.absences(), SizeIs(1));
  EXPECT_EQ(history.absences()[0].cause, Cause::kKilled);
  EXPECT_EQ(history.absences()[0].since, killed);
  EXPECT_EQ(history.absences()[0].until->wall, began);
  EXPECT_EQ(history.AbsenceAt(killed + 5min), &history.absences()[0]);
  EXPECT_EQ(LogText(history.Lines()),
            "2026-07-28 10:00:05  run                        no input for 60 min (x11 :0)\n"
            "2026-07-28 08:00:00  clock                      the clock was set back by 3 h, "
            "from 2026-07-28 11:00:00\n"
            "2026-07-28 08:30:00  off                        no agent ran until 2026-07-28 "
            "08:40:00; the last was killed, or crashed\n"
            "2026-07-28 08:40:00  run                        no input for 60 min (x11 :0)\n");
}

TEST(Absence, StepsOfTheClockStandWhereTheyWereAmongTheLines) {
  Life life;
  life.Begin();
  life.SetClockBack(1min);
  life.MarkClock(1min);
  life.End();
  life.Begin();
  life.SetClockBack(1min);
  life.MarkClock(1min);
  life.LookAfter(1s);
  life.SetClockBack(1min);
  life.MarkClock(1min);
  const PolicyHistory history = life.History();
  std::string order;
  for (const LogLine& line : history.Lines())
    order += line.entry != nullptr ? 'e' : line.absence != nullptr ? 'a' : 'c';
  EXPECT_EQ(order, "cacec");
}

TEST(Absence, EndsAndBeginningsAreNotDecidedAgain) {
  Life life;
  for (int run = 0; run < 5; ++run) {
    life.Begin();
    life.LookFor(1min);
    life.OwnerComes();
    life.LookFor(1min);
    life.OwnerLeaves();
    run % 2 == 0 ? life.End() : life.Kill();
    life.Pass(1h);
  }
  const ReplayReport report = ReplayLog(life.History());
  EXPECT_TRUE(report.ok()) << ReplayText(report);
  EXPECT_EQ(report.unreadable_lines, 0u);
  EXPECT_EQ(report.replayed, life.History().entries().size());
}

// A file that begins with one stands alone all the same.
TEST(Absence, MarksMayBeWhereAFileIsPutAside) {
  Life life;
  for (int aside = 1; aside <= 5; ++aside) {
    while (life.files.times_put_aside < aside) {
      life.Begin();
      for (int mark = 0; mark < 20; ++mark) life.Begin();
      life.LookAfter(1s);
      life.End();
    }
    life.Begin();
    life.LookAfter(1s);
    ASSERT_EQ(PolicyHistory::Parse(life.files.current).unreadable_lines(), 0u);
    ASSERT_THAT(PolicyHistory::Parse(life.files.current).entries(), Not(IsEmpty()));
  }
  EXPECT_LE(life.files.most_bytes, kMaxPolicyLogBytes);
}

TEST(Absence, AMarkIsReadAsItWasWritten) {
  Life life;
  for (const std::optional<WallTime> sign : {std::optional<WallTime>(), {life.wall() - 7ms}}) {
    for (const auto kind : {RunMark::Kind::kBegan, RunMark::Kind::kEnded}) {
      const RunMark mark{.kind = kind, .moment = life.now, .last_sign = sign};
      EXPECT_TRUE(KindOf(RunMarkLine(mark)).is_mark);
      EXPECT_EQ(ParseRunMark(RunMarkLine(mark)), mark);
    }
  }
  const RunMark set_back{
      .kind = RunMark::Kind::kClockSetBack, .moment = life.now, .clock_was = life.wall() + 1h};
  EXPECT_EQ(ParseRunMark(RunMarkLine(set_back)), set_back);
  for (const char* line :
       {"{\"agent\":1}", "{\"agent\":\"began\"}", "{\"agent\":\"x\",\"moment\":{}}",
        "{\"agent\":\"ended\",\"moment\":3}",
        "{\"agent\":\"clock_set_back\",\"moment\":{\"steady_us\":1,\"wall_ms\":1,\"weekday\":0,"
        "\"minute_of_day\":0}}"}) {
    EXPECT_FALSE(ParseRunMark(line)) << line;
    EXPECT_EQ(PolicyHistory::Parse(line).unreadable_lines(), 1u) << line;
  }
}

// Whatever agents go through: a time at which one ran has no absence (but for what a kill left
// untold), and one at which none ran has one.
TEST(Absence, TellsWhenAgentsRanThroughManyWildLives) {
  struct Run {
    WallTime began, ended;
  };
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    RandomMachine dice(seed);
    Life life;
    std::vector<Run> runs;
    for (int run = 0; run < 8; ++run) {
      life.in_memory = !dice.Chance(4);
      life.Begin();
      life.LookAfter(0ms);
      runs.push_back({.began = life.wall(), .ended = {}});
      for (auto left = dice.Below(6); left > 0; --left) {
        dice.Chance(2) ? life.OwnerComes() : life.OwnerLeaves();
        life.LookFor(std::chrono::seconds(dice.Below(600)));
      }
      life.Pass(std::chrono::milliseconds(dice.Below(5'000)));
      runs.back().ended = life.wall();
      switch (dice.Below(3)) {
        case 0:
          life.End();
          break;
        case 1:
          life.Kill();
          break;
        default:
          life.GoDown();
      }
      life.Pass(1s + std::chrono::seconds(dice.Below(36'000)));
    }
    PolicyHistory history = life.History();
    history.NobodyRuns(life.sign);
    ASSERT_TRUE(ReplayLog(history).ok());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const WallTime next = i + 1 < runs.size() ? runs[i + 1].began : life.wall();
      for (const WallTime time :
           {runs[i].ended, runs[i].ended + (next - runs[i].ended) / 2, next - 1ms})
        ASSERT_NE(history.AbsenceAt(time), nullptr) << seed << " nobody ran after run " << i;
      const WallTime middle = runs[i].began + (runs[i].ended - runs[i].began) / 2;
      const Absence* absence = history.AbsenceAt(middle);
      ASSERT_TRUE(absence == nullptr || absence->cause == Cause::kUnknown ||
                  absence->since + kSignPatience >= runs[i].ended)
          << seed << " run " << i << " ran";
    }
  }
}

TEST(AbsenceText, SaysFromWhenToWhenNoAgentRanAndWhy) {
  Life life;
  life.Begin();
  life.LookAfter(1s);
  life.End();
  life.Pass(9h + 50min);
  life.Begin();
  life.LookAfter(0s);
  life.Kill();
  life.Pass(10min);
  life.Begin();
  life.LookAfter(0s);
  life.GoDown();
  life.Pass(20min);
  life.Begin();
  const PolicyHistory history = life.History();
  EXPECT_EQ(LogText(history.Lines()),
            "2026-07-28 10:00:01  run                        no input for 60 min (x11 :0)\n"
            "2026-07-28 10:00:01  off                        no agent ran until 2026-07-28 "
            "19:50:01; the last was ended\n"
            "2026-07-28 19:50:01  run                        no input for 60 min (x11 :0)\n"
            "2026-07-28 19:50:01  off                        no agent ran until 2026-07-28 "
            "20:00:01; the last was killed, or crashed\n"
            "2026-07-28 20:00:01  run                        no input for 60 min (x11 :0)\n"
            "2026-07-28 20:00:01  off                        the agent went some time after this, "
            "its last line; the next began 2026-07-28 20:20:01\n");
  const auto why = [&](std::size_t i) {
    return AbsenceText(history.absences()[i], &history.entries()[i]);
  };
  EXPECT_EQ(why(0),
            "not running: no agent ran between 2026-07-28 10:00:01 and 2026-07-28 19:50:01\n"
            "the last was ended\n");
  EXPECT_EQ(why(1),
            "not running: no agent ran between 2026-07-28 19:50:01 and 2026-07-28 20:00:01\n"
            "the last was killed, or crashed\n");
  EXPECT_EQ(why(2),
            "perhaps not running: the agent went some time between 2026-07-28 20:00:01 and "
            "2026-07-28 20:20:01, and nothing tells when\n"
            "it was killed, or the machine went down, or it was too old to write its end\n\n"
            "its last decision: works: no input for 60 min (x11 :0)\n");
  EXPECT_THAT(history.Since(history.absences()[0].since + 1h), SizeIs(5))
      << "what lasts beyond it is shown";
}

// Root reads what the agent of the whole machine tells, and that has a user of its own.
TEST(LogText, NothingThatALogSaysSteersATerminal) {
  Life life;
  PolicyEntry entry = DecideEntry(life.settings, life.signals, life.now, life.memory);
  entry.decision.text = "works\x1b[2J\nwaits";
  entry.decision.reasons = {{Reason::kInput, "a\rb", "c\td"}};
  entry.signals.notices = {"e\nf"};
  const LogLine line{.entry = &entry, .absence = nullptr};
  for (const std::string& text : {LogText({&line, 1}), WhyText(entry, std::nullopt, life.now)}) {
    EXPECT_THAT(text, testing::HasSubstr("works?[2J?waits\n"));
    EXPECT_EQ(text.find_first_of("\x1b\r\t"), text.npos) << text;
  }
  EXPECT_THAT(WhyText(entry, std::nullopt, life.now), testing::HasSubstr("note: e?f\n"));
}

}  // namespace
}  // namespace fallow
