// The explain log: what it keeps, what it survives, and that it decides again as it did.
#include "agent/daemon/policy/policy_log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/policy_history.h"
#include "tests/unit/agent/daemon/policy/memory_log_files.h"
#include "tests/unit/agent/daemon/policy/random_signals.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// A log that fails costs no decision. `trouble` is set to why it failed, or emptied.
Decision DecideAndRecord(const Settings& settings, const Signals& signals, const Moment& now,
                         PolicyMemory& memory, PolicyLog& log, std::string* trouble = nullptr) {
  const PolicyEntry entry = DecideEntry(settings, signals, now, memory);
  const auto recorded = log.Record(entry);
  if (trouble != nullptr) *trouble = recorded ? "" : recorded.error().message;
  return entry.decision;
}

struct LogWorld : MachineWorld {
  FakePolicyLogFiles files;
  PolicyLog log{files};
  std::string trouble;

  Decision Record(std::chrono::milliseconds time = 1s) {
    Pass(time);
    return DecideAndRecord(settings, signals, now, memory, log, &trouble);
  }
  PolicyHistory History() { return PolicyHistory::Read(files).value(); }
};

TEST(PolicyLog, KeepsTransitionsAndNothingElse) {
  LogWorld world;
  for (int i = 0; i < 10; ++i) world.Record();
  EXPECT_EQ(world.History().entries().size(), 1u);
  world.signals.presence = {Idle("x11 :0", 3s)};
  for (int i = 0; i < 10; ++i) world.Record();
  EXPECT_EQ(world.History().entries().size(), 2u);
  world.signals.presence = {};
  world.Record();  // another first reason
  EXPECT_EQ(world.History().entries().size(), 3u);
  world.settings.load.foreign_cpu_percent = 30;
  world.Record();       // other settings
  world.Record(10min);  // the model is given back
  ASSERT_EQ(world.History().entries().size(), 5u);
  EXPECT_EQ(world.History().entries()[3].settings.load.foreign_cpu_percent, 30);
  EXPECT_FALSE(world.History().entries()[4].decision.keep_memory);
}

TEST(PolicyLog, KeepsAMovingShareOnceAMinute) {
  LogWorld world;
  world.signals.thermal.temperatures = {Cpu(76.5)};
  for (int i = 0; i < 600; ++i) {
    world.signals.thermal.temperatures[0].celsius = i / 30 % 2 == 0 ? 74 : 79;
    world.Record();
  }
  EXPECT_LE(world.History().entries().size(), 11u);
  EXPECT_GE(world.History().entries().size(), 3u);
}

TEST(PolicyLog, AnEntryIsTheWholeOfWhatWasDecidedFrom) {
  LogWorld world;
  world.signals.gpus = {Gpu("0000:01:00.0", true)};
  world.signals.session = {Active(SessionSignalKind::kFullScreen, "Firefox: \u00e4\u6f22")};
  world.signals.notices = {"helper of anna floods"};
  const Decision decision = world.Record();
  const PolicyHistory history = world.History();
  ASSERT_EQ(history.entries().size(), 1u);
  EXPECT_EQ(history.entries()[0].decision, decision);
  EXPECT_EQ(history.entries()[0].signals, world.signals);
  EXPECT_EQ(history.entries()[0].moment, world.now);
  EXPECT_EQ(history.entries()[0].before, PolicyMemory{});
  EXPECT_EQ(history.entries()[0].settings, world.settings);
}

TEST(PolicyLog, EveryEntryOfManyWildDaysDecidesAgainAsItDid) {
  std::size_t replayed = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RandomMachine machine(seed);
    FakePolicyLogFiles files;
    PolicyLog log(files);
    PolicyMemory memory;
    for (int step = 0; step < 400; ++step) {
      machine.Step();
      DecideAndRecord(machine.settings, machine.world.signals, machine.world.now, memory, log);
    }
    const PolicyHistory history = PolicyHistory::Read(files).value();
    const ReplayReport report = ReplayLog(history);
    ASSERT_TRUE(report.ok()) << ReplayText(report);
    ASSERT_EQ(report.unreadable_lines, 0u);
    ASSERT_EQ(report.replayed, history.entries().size());
    replayed += report.replayed;
  }
  EXPECT_GT(replayed, 2000u);
}

TEST(PolicyLog, AForgedDecisionIsFound) {
  LogWorld world;
  world.Record();
  const auto at = world.files.current.find("\"action\":\"run\"");
  // Run is zero and left out; a machine that ran says so by its share.
  EXPECT_EQ(at, std::string::npos);
  const auto share = world.files.current.find("\"share\":1.0");
  ASSERT_NE(share, std::string::npos);
  world.files.current.replace(share, 11, "\"share\":0.5");
  const ReplayReport report = ReplayLog(world.History());
  EXPECT_EQ(report.different, 1u);
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(ReplayText(report), HasSubstr("1 differ"));
}

TEST(PolicyLog, WhatLooksTheSameInTheReportIsSaidToDifferElsewhere) {
  LogWorld world;
  world.signals.presence = {Idle("x11 :0", 3s)};
  world.Record();
  const std::string way_out = "none for 3 min more";
  const auto at = world.files.current.find(way_out);
  ASSERT_NE(at, std::string::npos);
  world.files.current.replace(at, way_out.size(), "none for 9 min more");
  EXPECT_THAT(ReplayText(ReplayLog(world.History())),
              HasSubstr("both times, but the reasons, GPUs or memory kept differ"));
}

TEST(PolicyLog, EntriesOfAnotherPolicyAreNotReplayed) {
  LogWorld world;
  world.Record();
  const auto at = world.files.current.find("\"version\":2,");
  ASSERT_NE(at, std::string::npos);
  world.files.current.replace(at, 12, "\"version\":1,");
  const ReplayReport report = ReplayLog(world.History());
  EXPECT_EQ(report.other_version, 1u);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(ReplayText(report),
            "no decision in the log can be made again\n"
            "1 of another version of the policy were left out\n")
      << "nothing was found to be the same";
}

TEST(PolicyLog, StaysBelowItsBoundAndKeepsTheOneBefore) {
  LogWorld world;
  for (int i = 0; i < 3000; ++i) {
    world.signals.paused_until = i % 2 == 0 ? std::optional(kPausedWithoutEnd) : std::nullopt;
    world.Record();
  }
  EXPECT_GE(world.files.times_put_aside, 1);
  EXPECT_LE(world.files.most_bytes, kMaxPolicyLogBytes);
  const PolicyHistory history = world.History();
  EXPECT_EQ(history.unreadable_lines(), 0u);
  EXPECT_GT(history.entries().size(), 500u);
  EXPECT_TRUE(ReplayLog(history).ok());
  // The current file stands alone: its settings are in it.
  EXPECT_EQ(PolicyHistory::Parse(world.files.current).unreadable_lines(), 0u);
}

TEST(PolicyLog, AWorstCaseEntryFits) {
  LogWorld world;
  Signals& signals = world.signals;
  const std::string text(1000, '\"');
  for (int i = 0; i < 50; ++i) {
    signals.presence.push_back({.source = text, .detail = text, .kind = PresenceKind::kDistrusted});
    signals.session.push_back({.kind = static_cast<SessionSignalKind>(i % 3),
                               .source = text,
                               .known = true,
                               .active = true,
                               .detail = text});
    signals.thermal.temperatures.push_back(
        {.sensor = text, .celsius = 100 / 3.0, .critical_celsius = 1 / 3.0});
    signals.thermal.troubles.push_back(text);
    GpuReading gpu = Gpu(text, true);
    gpu.name = text;
    gpu.busy_share = gpu.foreign_busy_share = 1 / 3.0;
    gpu.celsius = gpu.watts = gpu.watts_limit = 100 / 3.0;
    gpu.foreign_memory_bytes = 1ull << 40;
    signals.gpus.push_back(gpu);
    signals.owner_programs.push_back(text);
    signals.notices.push_back(text);
  }
  signals.power = {.on_battery = true, .charge_percent = 7, .power_saver = true, .detail = text};
  signals.metered = true;
  signals.suspending = true;
  signals.paused_until = world.now.wall + 1h;
  signals.settings_trouble = text;
  signals.cpu = {.processor_count = 8,
                 .foreign_share = 1 / 3.0,
                 .pressure_share = 1 / 3.0,
                 .memory_pressure_share = 1 / 3.0,
                 .memory_total_bytes = 1ull << 40,
                 .memory_available_bytes = 1,
                 .trouble = text};
  world.settings.quiet = {.cpu_ceiling_celsius = 50, .gpu_ceiling_celsius = 50, .watts_limit = 50};
  world.Record();
  world.signals.presence.clear();
  world.Record();
  std::size_t longest = 0;
  for (std::size_t at = 0; at < world.files.current.size();) {
    const std::size_t end = world.files.current.find('\n', at);
    longest = std::max(longest, end - at);
    at = end + 1;
  }
  EXPECT_LE(longest, kMaxEntryBytes);
  EXPECT_GT(longest, kMaxEntryBytes / 3) << "not the worst case any more";
  EXPECT_TRUE(ReplayLog(world.History()).ok());
}

TEST(PolicyLog, ATornLastLineIsIgnoredAndEndsWhereTheNextBegins) {
  LogWorld world;
  world.Record();
  world.signals.presence = {};
  world.Record();
  world.files.current.resize(world.files.current.size() - 40);
  EXPECT_EQ(world.History().entries().size(), 1u);
  EXPECT_EQ(world.History().unreadable_lines(), 1u);
  PolicyLog after_the_crash(world.files);
  PolicyMemory memory;
  DecideAndRecord(world.settings, world.signals, world.now, memory, after_the_crash);
  EXPECT_EQ(world.History().entries().size(), 2u);
  EXPECT_EQ(world.History().unreadable_lines(), 1u);
}

TEST(PolicyLog, NoPrefixOfALogCannotBeRead) {
  LogWorld world;
  world.Record();
  world.signals.presence = {};
  world.Record();
  const std::string whole = world.files.current;
  for (std::size_t size = 0; size < whole.size(); size += 3) {
    const PolicyHistory history = PolicyHistory::Parse(whole.substr(0, size));
    ASSERT_LE(history.unreadable_lines(), 1u);
    ASSERT_TRUE(ReplayLog(history).ok());
  }
}

TEST(PolicyLog, AFullDiskCostsEntriesNotDecisions) {
  LogWorld world;
  world.Record();
  world.files.room_bytes = 100;
  world.signals.presence = {};
  EXPECT_EQ(world.Record().action, Action::kPause);
  EXPECT_EQ(world.trouble, "the disk is full");
  world.files.room_bytes = SIZE_MAX;
  world.signals.suspending = true;
  EXPECT_EQ(world.Record().action, Action::kPause);
  EXPECT_EQ(world.trouble, "");
  EXPECT_EQ(world.History().entries().size(), 2u);
  EXPECT_EQ(world.History().unreadable_lines(), 1u);
}

TEST(PolicyLog, WorksOnADisk) {
  std::string folder = testing::TempDir() + "/policy_log_on_disk-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    const auto files = NewPolicyLogFiles(folder);
    EXPECT_THAT(PolicyHistory::Read(*files)->entries(), IsEmpty());
    PolicyLog log(*files);
    MachineWorld world;
    DecideAndRecord(world.settings, world.signals, world.now, world.memory, log);
    world.signals.presence = {};
    world.Pass(1s);
    DecideAndRecord(world.settings, world.signals, world.now, world.memory, log);
    EXPECT_TRUE(files->PutAside());
  }
  const auto files = NewPolicyLogFiles(folder);
  PolicyLog log(*files);
  MachineWorld world;
  std::string trouble;
  DecideAndRecord(world.settings, world.signals, world.now, world.memory, log, &trouble);
  EXPECT_EQ(trouble, "");
  std::ofstream(folder + "/policy-log.jsonl", std::ios::app) << "torn";
  PolicyLog again(*files);
  DecideAndRecord(world.settings, world.signals, world.now, world.memory, again, &trouble);
  const auto history = PolicyHistory::Read(*files);
  ASSERT_TRUE(history);
  EXPECT_EQ(history->entries().size(), 4u);
  EXPECT_EQ(history->unreadable_lines(), 1u);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(NewPolicyLogFiles(folder)->Append("x").error().code, ErrorCode::kNotFound);
}

TEST(PolicyHistory, TellsWhatHeldAtATime) {
  LogWorld world;
  world.Record();
  const WallTime ran = world.now.wall;
  world.signals.presence = {};
  world.Record(10min);
  const WallTime paused = world.now.wall;
  const PolicyHistory history = world.History();
  EXPECT_EQ(history.At(ran - 1ms), nullptr);
  EXPECT_EQ(history.At(ran)->decision.action, Action::kRun);
  EXPECT_EQ(history.At(paused - 1ms)->decision.action, Action::kRun);
  EXPECT_EQ(history.At(paused)->decision.action, Action::kPause);
  EXPECT_EQ(history.At(paused + 100h)->decision.action, Action::kPause);
  EXPECT_EQ(history.Since(paused).size(), 1u);
  EXPECT_EQ(history.Since(ran).size(), 2u);
  EXPECT_THAT(history.Since(paused + 1ms), IsEmpty());
  EXPECT_THAT(history.absences(), IsEmpty());
  EXPECT_EQ(history.AbsenceAt(paused + 100h), nullptr);
  EXPECT_EQ(history.CurrentSince()->wall, paused);
}

TEST(PolicyText, SaysWhyAndSinceWhenAndWhatWouldHaveToChange) {
  LogWorld world;
  world.signals.presence = {Idle("x11 :0", 3s)};
  world.signals.cpu.foreign_share = 0.41;
  world.signals.notices = {"a helper floods"};
  world.Record();
  const PolicyHistory history = world.History();
  Moment later = world.now;
  later.wall += 5min;
  EXPECT_EQ(WhyText(history.entries()[0], history.CurrentSince(), later),
            "waits: input 3 s ago (x11 :0); free after 3 min without\n"
            "since 2026-07-28 10:00:01 (5 min ago)\n"
            "\n"
            "input              input 3 s ago (x11 :0); free after 3 min without\n"
            "                   until: none for 3 min more, or a shorter presence.idle_after\n"
            "cpu_load           other programs use 41 % of the processors; work waits above 25 %\n"
            "                   until: below 20 % for 30 s, or a higher load.foreign_cpu_percent\n"
            "\n"
            "the model may stay in memory meanwhile\n"
            "note: a helper floods\n");
  EXPECT_EQ(LogText(history.Lines()),
            "2026-07-28 10:00:01  pause   input              input 3 s ago (x11 :0); free after 3 "
            "min without\n");
}

TEST(PolicyText, OfATimeThatWasSaysWhichAndHowLongItHadBeenSo) {
  LogWorld world;
  world.signals.presence = {Idle("x11 :0", 3s)};
  world.Record();
  const WallTime began = world.now.wall;
  world.settings.quiet.level_percent = 20;
  world.Record(2min);
  world.signals.presence = {Idle("x11 :0", 20min)};
  world.Record(30min);
  const PolicyHistory history = world.History();
  const WallTime asked = began + 5min;
  const PolicyEntry& entry = *history.At(asked);
  // The settings changed meanwhile, the state did not.
  EXPECT_EQ(entry.moment.wall, began + 2min);
  EXPECT_EQ(history.StateSince(entry).wall, began);
  EXPECT_THAT(WhyThenText(entry, history.StateSince(entry), asked, 0min),
              StartsWith("at 2026-07-28 10:05:01\n"
                         "waits: input 3 s ago (x11 :0); free after 3 min without\n"
                         "since 2026-07-28 10:00:01 (5 min before)\n"));
}

TEST(PolicyText, OneThatMayWorkAndDoesNotSaysWhatHoldsItUp) {
  LogWorld world;
  world.Record();
  EXPECT_THAT(WhyText(world.History().entries()[0], std::nullopt, world.now, "idle: no\nwork"),
              StartsWith("may work: no input for 60 min (x11 :0)\n"
                         "but is idle: no?work\n"));
}

TEST(PolicyText, TheLogTellsWhereSettingsChanged) {
  LogWorld world;
  world.signals.presence = {Idle("x11 :0", 3s)};
  world.Record();
  world.settings.quiet.level_percent = 20;
  world.Record();
  EXPECT_EQ(LogText(world.History().Lines()),
            "2026-07-28 10:00:01  pause   input              input 3 s ago (x11 :0); free after 3 "
            "min without\n"
            "2026-07-28 10:00:02  pause   input              input 3 s ago (x11 :0); free after 3 "
            "min without [new settings]\n");
}

TEST(PolicyText, AnEntryTravelsToAnotherProcess) {
  LogWorld world;
  world.Record();
  const PolicyEntry entry = world.History().entries()[0];
  const PolicyHistory read = PolicyHistory::Parse(EntryText(entry));
  ASSERT_EQ(read.entries().size(), 1u);
  EXPECT_EQ(read.entries()[0], entry);
}

// Root reads what an agent under another user wrote: no number of it may overflow.
TEST(PolicyHistory, NumbersThatNoAgentWritesAreRefused) {
  MachineWorld world;
  const auto entry = DecideEntry(world.settings, world.signals, world.now, world.memory);
  const auto line = nlohmann::json::parse(EntryLine(entry));
  ASSERT_TRUE(ParseEntry(line.dump(), entry.settings).has_value());
  const std::pair<const char*, const char*> bad[] = {
      {"/moment/wall_ms", "9223372036854775807"},
      {"/moment/wall_ms", "18446744073709551615"},
      {"/moment/steady_us", "-9223372036854775808"},
      {"/moment/steady_us", "1.5"},
      {"/moment/weekday", "7"},
      {"/moment/minute_of_day", "-1"},
      {"/moment/minute_of_day", "true"},
      {"/version", "1e30"},
      {"/decision/share", "\"1\""},
      {"/signals/presence/0/idle_ms", "9223372036854775807"},
      {"/signals/cpu/memory_total_bytes", "-1"},
      {"/signals/paused_until_ms", "400000000000000"},
      {"/before/began_us", "9223372036854775807"},
  };
  for (const auto& [place, value] : bad) {
    auto forged = line;
    forged[nlohmann::json::json_pointer(place)] = nlohmann::json::parse(value);
    EXPECT_FALSE(ParseEntry(forged.dump(), entry.settings).has_value()) << place << " " << value;
  }
  auto for_ever = line;
  for_ever["signals"]["paused_until_ms"] = INT64_MAX;
  EXPECT_EQ(ParseEntry(for_ever.dump(), entry.settings)->signals.paused_until, kPausedWithoutEnd);
}

TEST(PolicyHistory, RubbishIsCountedAndLeftOut) {
  for (const char* line :
       {"x", "{}", "[]", "null", "{\"settings\":1}", "{\"settings\":\"a\",\"text\":5}",
        "{\"settings\":\"a\",\"text\":\"[load]\\nx=1\"}", "{\"settings\":\"a\",\"decision\":{}}"}) {
    EXPECT_EQ(PolicyHistory::Parse(line).unreadable_lines(), 1u) << line;
    EXPECT_THAT(PolicyHistory::Parse(line).entries(), IsEmpty());
  }
}

TEST(LocalTime, IsShownByItsOffset) {
  // 10:00 UTC on Tuesday, 28 July 2026; two hours ahead.
  const Moment now{
      .wall = WallTimeFromUnixMs(1'785'232'800'000), .weekday = 1, .minute_of_day = 720};
  EXPECT_EQ(LocalOffset(now), 120min);
  EXPECT_EQ(LocalDateTime(now.wall, 120min), "2026-07-28 12:00:00");
}

TEST(LocalTime, KnowsItsOffsetOnBothSidesOfMidnight) {
  for (int offset_minutes = -12 * 60; offset_minutes <= 14 * 60; offset_minutes += 15) {
    for (int hour = 0; hour < 7 * 24; ++hour) {
      const WallTime wall = WallTimeFromUnixMs(1'785'232'800'000) + std::chrono::hours(hour);
      const auto minutes =
          std::chrono::floor<std::chrono::minutes>(wall.time_since_epoch()).count() +
          offset_minutes;
      const Moment moment{.wall = wall,
                          .weekday = static_cast<int>((minutes / 1440 + 3) % 7),
                          .minute_of_day = static_cast<int>(minutes % 1440)};
      ASSERT_EQ(LocalOffset(moment).count(), offset_minutes) << hour;
    }
  }
}

}  // namespace
}  // namespace fallow
