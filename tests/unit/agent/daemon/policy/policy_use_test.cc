// Somebody at the machine, the owner's commands, the schedule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/daemon/policy/policy.h"
#include "agent/daemon/policy/schedule.h"
#include "tests/unit/agent/daemon/policy/machine_world.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Policy, WorksWhenNobodyIsThere) {
  MachineWorld machine;
  const Decision decision = machine.Look();
  EXPECT_EQ(decision.action, Action::kRun);
  EXPECT_EQ(decision.share, 1);
  EXPECT_EQ(decision.text, "no input for 60 min (x11 :0)");
  EXPECT_THAT(decision.reasons, IsEmpty());
}

TEST(Policy, CountsAsInUseWhenNothingCanTell) {
  MachineWorld machine;
  machine.signals.presence = {Unknown("x11", "DISPLAY is not set"), Unknown("logind", "no bus")};
  const Decision decision = machine.Look();
  EXPECT_EQ(decision.action, Action::kPause);
  EXPECT_EQ(decision.reasons[0].reason, Reason::kUnknownPresence);
  EXPECT_THAT(decision.text, HasSubstr("x11: DISPLAY is not set; logind: no bus"));
  machine.signals = {};
  EXPECT_EQ(machine.Look().action, Action::kPause);
  EXPECT_THAT(machine.Look().text, HasSubstr("no source tells"));
}

TEST(Policy, LosingEverySourceStopsWork) {
  MachineWorld machine;
  EXPECT_EQ(machine.Look().action, Action::kRun);
  machine.signals.presence = {};
  EXPECT_EQ(machine.After(1ms).action, Action::kPause);
}

TEST(Policy, RunsOnceTheThresholdHasPassed) {
  for (const auto& [idle_for, action] :
       {std::pair{179'999ms, Action::kPause}, {180'000ms, Action::kRun}}) {
    MachineWorld machine;
    machine.signals.presence = {Idle("x11", idle_for)};
    EXPECT_EQ(machine.Look().action, action) << idle_for.count();
  }
}

TEST(Policy, TheLeastIdleSourceThatKnowsCounts) {
  MachineWorld machine;
  machine.signals.presence = {Idle("x11", 1h), Idle("logind", 5s)};
  EXPECT_EQ(machine.Look().text, "input 5 s ago (logind); free after 3 min without");
  machine.signals.presence = {Idle("x11", 1h), Unknown("logind", "no bus")};
  EXPECT_NE(machine.After(20s).action, Action::kPause);
}

TEST(Policy, InputStopsWorkAtOnceButRoundingDoesNot) {
  for (const auto& [idle_for, action] :
       {std::pair<std::chrono::milliseconds, Action>{0ms, Action::kPause},
        {169'999ms, Action::kPause},
        {170s, Action::kRun},
        {175s, Action::kRun}}) {
    MachineWorld machine;
    machine.Look();
    machine.signals.presence = {Idle("x11", idle_for)};
    EXPECT_EQ(machine.After(1ms).action, action) << idle_for.count();
  }
}

TEST(Policy, ShortThresholdsKeepSomeHysteresisAndStillStop) {
  MachineWorld machine;
  machine.settings.presence.idle_after = 4s;
  machine.Look();
  machine.signals.presence = {Idle("x11", 2s)};
  EXPECT_EQ(machine.Look().action, Action::kRun);
  machine.signals.presence = {Idle("x11", 1999ms)};
  EXPECT_EQ(machine.Look().action, Action::kPause);
}

TEST(Policy, AGamepadAndARemoteSessionAreReasonsOfTheirOwn) {
  MachineWorld machine;
  machine.signals.presence.push_back(Idle("evdev", 3s, PresenceKind::kGamepad));
  EXPECT_EQ(machine.Look().reasons[0].reason, Reason::kGamepad);
  machine.signals.presence.back() = Idle("logind", 3s, PresenceKind::kRemote);
  EXPECT_EQ(machine.Look().reasons[0].reason, Reason::kRemoteSession);
  EXPECT_THAT(machine.Look().text, HasSubstr("input of a remote session 3 s ago (logind)"));
}

TEST(Policy, AGamepadAtRestTellsNothingOfTheKeyboard) {
  MachineWorld machine;
  machine.signals.presence = {Idle("evdev", 1h, PresenceKind::kGamepad), Unknown("x11", "gone")};
  EXPECT_EQ(machine.Look().reasons[0].reason, Reason::kUnknownPresence);
}

TEST(Policy, ASourceThatIsNotBelievedCountsAsUse) {
  MachineWorld machine;
  machine.signals.presence.push_back({.source = "session 2",
                                      .known = true,
                                      .idle_for = 2h,
                                      .detail = "115 messages in 10 s",
                                      .kind = PresenceKind::kDistrusted});
  const Decision decision = machine.Look();
  EXPECT_EQ(decision.action, Action::kPause);
  EXPECT_EQ(decision.text, "session 2 is not believed: 115 messages in 10 s; counted as in use");
}

TEST(Policy, ADedicatedMachineHasNoOwner) {
  MachineWorld machine;
  machine.settings.presence.dedicated = true;
  machine.signals.presence = {};
  machine.signals.session = {Active(SessionSignalKind::kFullScreen)};
  machine.signals.owner_programs = {"steam"};
  EXPECT_EQ(machine.Look().action, Action::kRun);
  EXPECT_EQ(machine.Look().text, "this machine is dedicated to work");
  machine.signals.cpu.foreign_share = 0.5;
  machine.signals.cpu.pressure_share = 0.9;
  EXPECT_EQ(machine.Look().action, Action::kRun) << "nobody waits for its processors";
  machine.signals.suspending = true;
  EXPECT_EQ(machine.Look().action, Action::kPause) << "but it may sleep";
}

struct SessionCase {
  SessionSignalKind kind;
  Reason reason;
  bool Settings::Presence::*counts;
  bool gives_memory_back;
};
const SessionCase kSessionCases[] = {
    {SessionSignalKind::kFullScreen, Reason::kFullScreen, &Settings::Presence::full_screen, true},
    {SessionSignalKind::kGameMode, Reason::kGameMode, &Settings::Presence::game_mode, true},
    {SessionSignalKind::kIdleInhibitor, Reason::kIdleInhibitor,
     &Settings::Presence::idle_inhibitors, false},
};

TEST(Policy, SessionSignalsCountAsUseUntilTheyAreGoneForHalfAMinute) {
  for (const SessionCase& test : kSessionCases) {
    MachineWorld machine;
    EXPECT_EQ(machine.Look().action, Action::kRun);
    machine.signals.session = {Active(test.kind, "Firefox")};
    const Decision decision = machine.After(1s);
    EXPECT_EQ(decision.action, Action::kPause);
    EXPECT_EQ(decision.reasons[0].reason, test.reason);
    EXPECT_THAT(decision.text, HasSubstr(": Firefox (x11 :0)"));
    EXPECT_EQ(decision.keep_memory, !test.gives_memory_back);
    machine.signals.session[0].active = false;
    EXPECT_EQ(machine.After(1s).action, Action::kPause);
    EXPECT_THAT(machine.After(29'999ms).text, HasSubstr("none now; work waits"));
    EXPECT_EQ(machine.After(1ms).action, Action::kRun);
  }
}

TEST(Policy, SessionSignalsThatTheOwnerDoesNotCountAreNoReason) {
  for (const SessionCase& test : kSessionCases) {
    MachineWorld machine;
    machine.settings.presence.*test.counts = false;
    machine.signals.session = {Active(test.kind)};
    EXPECT_EQ(machine.Look().action, Action::kRun);
  }
}

TEST(Policy, ASessionSignalThatCannotTellProvesNothing) {
  MachineWorld machine;
  machine.signals.session = {Active(SessionSignalKind::kGameMode)};
  machine.signals.session[0].known = false;
  EXPECT_EQ(machine.Look().action, Action::kRun);
}

TEST(Policy, AProgramOfTheOwnersListStopsWorkAndFreesMemory) {
  MachineWorld machine;
  machine.settings.presence.owner_programs = {"blender", "steam"};
  machine.signals.owner_programs = {"blender", "steam"};
  EXPECT_EQ(machine.Look().text, "blender, steam on the owner's list runs");
  EXPECT_FALSE(machine.Look().keep_memory);
  machine.signals.owner_programs = {};
  EXPECT_EQ(machine.UntilItWorks(), 31s);
}

TEST(Policy, TheWeightiestReasonComesFirst) {
  MachineWorld machine;
  machine.signals.presence = {Idle("x11", 1s)};
  machine.signals.session = {Active(SessionSignalKind::kFullScreen)};
  machine.signals.cpu.foreign_share = 0.9;
  machine.signals.power.on_battery = true;
  machine.signals.paused_until = kPausedWithoutEnd;
  std::vector<Reason> reasons;
  for (const ReasonText& reason : machine.Look().reasons) reasons.push_back(reason.reason);
  EXPECT_THAT(reasons, ElementsAre(Reason::kPausedByOwner, Reason::kInput, Reason::kFullScreen,
                                   Reason::kBattery, Reason::kCpuLoad));
}

TEST(Policy, EveryReasonSaysWhatWouldHaveToChange) {
  MachineWorld machine;
  machine.signals.presence = {Idle("x11", 1s)};
  machine.signals.cpu.foreign_share = 0.9;
  machine.signals.settings_trouble = "agent.toml:1:1: x";
  machine.signals.suspending = true;
  for (const ReasonText& reason : machine.Look().reasons) {
    EXPECT_FALSE(reason.text.empty());
    EXPECT_FALSE(reason.way_out.empty());
  }
}

TEST(Policy, SettingsThatCannotBeFollowedCountAsUse) {
  MachineWorld machine;
  machine.signals.settings_trouble = "agent.toml:3:1: load.foreign_cpu_percent is 250";
  const Decision decision = machine.Look();
  EXPECT_EQ(decision.reasons[0].reason, Reason::kSettings);
  EXPECT_THAT(decision.text, HasSubstr("agent.toml:3:1"));
}

TEST(Policy, SleepStopsWorkAndFreesMemory) {
  MachineWorld machine;
  machine.Look();
  machine.signals.suspending = true;
  EXPECT_EQ(machine.After(1s).reasons[0].reason, Reason::kSuspending);
  EXPECT_FALSE(machine.Look().keep_memory);
}

TEST(Pause, LastsAsLongAsTheOwnerSaid) {
  MachineWorld machine;
  machine.Look();
  machine.signals.paused_until = machine.now.wall + 30min;
  const Decision decision = machine.After(1s);
  EXPECT_EQ(decision.reasons[0].reason, Reason::kPausedByOwner);
  EXPECT_EQ(decision.text, "paused by the owner for 30 min more, until 10:30");
  EXPECT_EQ(machine.After(30min - 1001ms).action, Action::kPause);
  EXPECT_EQ(machine.After(1ms).action, Action::kRun);
}

TEST(Pause, SaysWhenRootSaidSoAndThatRootAloneEndsIt) {
  MachineWorld machine;
  machine.signals.paused_until = machine.signals.paused_by_root_until = machine.now.wall + 30min;
  Decision decision = machine.Look();
  EXPECT_EQ(decision.text, "paused by root for 30 min more, until 10:30");
  EXPECT_EQ(decision.reasons[0].way_out, "`sudo fallow-agent resume`");
  machine.signals.paused_until = machine.now.wall + 2h;
  decision = machine.Look();
  EXPECT_EQ(decision.text,
            "paused by the owner for 2 h more, until 12:00; by root until 2026-07-28 10:30:00");
  EXPECT_EQ(decision.reasons[0].way_out,
            "`sudo fallow-agent resume`; without sudo it ends when root's does");
  machine.Pass(30min);
  EXPECT_EQ(machine.Look().reasons[0].way_out, "`fallow-agent resume`");
  machine.signals.paused_until = machine.signals.paused_by_root_until = kPausedWithoutEnd;
  EXPECT_EQ(machine.Look().text, "paused by root, until told otherwise");
}

TEST(Pause, WithoutAnEndLastsUntilResume) {
  MachineWorld machine;
  machine.Look();
  machine.signals.paused_until = kPausedWithoutEnd;
  EXPECT_EQ(machine.After(24h * 300).text, "paused by the owner, until told otherwise");
  machine.signals.paused_until.reset();
  // Work begins at once: the owner said so.
  EXPECT_EQ(machine.After(1ms).action, Action::kRun);
}

TEST(Pause, AClockThatStepsBackDoesNotMakeItLonger) {
  MachineWorld machine;
  machine.signals.paused_until = machine.now.wall + 30min;
  EXPECT_EQ(machine.Look().action, Action::kPause);
  machine.now.wall -= 48h;
  EXPECT_EQ(machine.After(30min - 1ms).action, Action::kPause);
  EXPECT_EQ(machine.After(1ms).action, Action::kRun);
}

TEST(Pause, EndsAfterASleepThatTheSteadyClockDidNotSee) {
  MachineWorld machine;
  machine.signals.paused_until = machine.now.wall + 30min;
  machine.Look();
  machine.now.wall += 8h;
  EXPECT_EQ(machine.Look().action, Action::kRun);
}

TEST(Pause, ANewEndCountsFromWhenItWasSaid) {
  MachineWorld machine;
  machine.signals.paused_until = machine.now.wall + 10min;
  machine.Look();
  machine.Pass(5min);
  machine.signals.paused_until = machine.now.wall + 1h;
  machine.Look();
  EXPECT_EQ(machine.After(59min).action, Action::kPause);
  EXPECT_EQ(machine.After(1min).action, Action::kRun);
}

TEST(Pause, ALongOneGivesTheModelBackAtOnceAShortOneDoesNot) {
  MachineWorld machine;
  machine.signals.paused_until = machine.now.wall + 10min;
  EXPECT_TRUE(machine.Look().keep_memory);
  machine.signals.paused_until = machine.now.wall + 10min + 1ms;
  EXPECT_FALSE(machine.Look().keep_memory);
}

TEST(KeepMemory, TheModelStaysForAWhileAndThenIsGivenBackForGood) {
  MachineWorld machine;
  machine.Look();
  machine.signals.presence = {Idle("x11", 0s)};
  EXPECT_TRUE(machine.After(1s).keep_memory);
  EXPECT_TRUE(machine.After(10min - 1ms).keep_memory);
  EXPECT_FALSE(machine.After(1ms).keep_memory);
  // It does not come back before work begins.
  machine.settings.compute.keep_model_for = 24h;
  EXPECT_FALSE(machine.After(1s).keep_memory);
  machine.signals.presence = {Idle("x11", 1h)};
  EXPECT_EQ(machine.After(20s).action, Action::kRun);
  machine.signals.presence = {Idle("x11", 0s)};
  EXPECT_TRUE(machine.After(1s).keep_memory);
}

TEST(KeepMemory, NotAtAllIfTheOwnerWantsThat) {
  MachineWorld machine;
  machine.settings.compute.keep_model_for = 0s;
  machine.Look();
  machine.signals.presence = {Idle("x11", 0s)};
  EXPECT_FALSE(machine.After(1s).keep_memory);
}

TEST(SchedulePolicy, WorkIsAllowedFromItsFirstMinuteToBeforeItsLast) {
  MachineWorld machine;
  machine.settings.schedule.allowed = {ParseScheduleSpan("mon-fri 10:00-10:02").value()};
  EXPECT_EQ(machine.Look().action, Action::kRun);
  EXPECT_EQ(machine.After(2min - 1ms).action, Action::kRun);
  const Decision decision = machine.After(1ms);
  EXPECT_EQ(decision.reasons[0].reason, Reason::kSchedule);
  EXPECT_EQ(decision.text, "work is allowed only mon-fri 10:00-10:02");
  EXPECT_THAT(decision.reasons[0].way_out, HasSubstr("23 h 58 min from now"));
}

TEST(SecondGpu, GoesOnWhileTheOwnerIsThereIfTheOwnerLikes) {
  MachineWorld machine;
  machine.signals.gpus = {Gpu("0000:01:00.0", true), Gpu("0000:02:00.0", false)};
  machine.signals.presence = {Idle("x11 :0", 1s)};
  EXPECT_EQ(machine.Look().action, Action::kPause);
  machine.settings.compute.yield_display_gpu_alone = true;
  const Decision decision = machine.After(20s);
  EXPECT_EQ(decision.action, Action::kReduce);
  EXPECT_THAT(decision.only_gpus, ElementsAre("0000:02:00.0"));
  EXPECT_EQ(decision.share, 1);
  EXPECT_EQ(decision.reasons[0].reason, Reason::kInput);
  EXPECT_THAT(decision.text,
              HasSubstr("works on card alone, which drives no display: input 1 s ago"));
  // Alone again, it works on everything.
  machine.signals.presence = {Idle("x11 :0", 1h)};
  EXPECT_THAT(machine.After(1s).only_gpus, IsEmpty());
}

TEST(SecondGpu, MustBeKnownToDriveNoDisplay) {
  MachineWorld machine;
  machine.settings.compute.yield_display_gpu_alone = true;
  machine.signals.presence = {Idle("x11 :0", 1s)};
  machine.signals.gpus = {Gpu("0000:01:00.0", true), Gpu("0000:02:00.0", false)};
  machine.signals.gpus[1].drives_display.reset();
  EXPECT_EQ(machine.Look().action, Action::kPause);
  machine.signals.gpus[1] = Gpu("", false);
  EXPECT_EQ(machine.Look().action, Action::kPause);
  machine.signals.gpus[1] = Gpu("0000:02:00.0", false);
  machine.settings.compute.backend = "cpu";
  EXPECT_EQ(machine.After(20s).action, Action::kPause);
}

TEST(SecondGpu, AnythingButUseStopsItToo) {
  MachineWorld machine;
  machine.settings.compute.yield_display_gpu_alone = true;
  machine.signals.gpus = {Gpu("0000:01:00.0", true), Gpu("0000:02:00.0", false)};
  machine.signals.presence = {Idle("x11 :0", 1s)};
  // The owner's game keeps its own GPU busy; that is no reason for the other.
  machine.signals.gpus[0].foreign_busy_share = 0.99;
  machine.signals.session = {Active(SessionSignalKind::kGameMode)};
  EXPECT_EQ(machine.Look().action, Action::kReduce);
  machine.signals.gpus[1].foreign_busy_share = 0.5;
  EXPECT_EQ(machine.After(1s).action, Action::kPause);
  machine.signals.gpus[1].foreign_busy_share = 0;
  machine.signals.paused_until = kPausedWithoutEnd;
  EXPECT_EQ(machine.After(2min).reasons[0].reason, Reason::kPausedByOwner);
}

TEST(SecondGpu, TheOwnersReturnDoesNotLendItSlack) {
  MachineWorld machine;
  machine.settings.compute.yield_display_gpu_alone = true;
  machine.signals.gpus = {Gpu("0000:01:00.0", true), Gpu("0000:02:00.0", false)};
  machine.signals.presence = {Idle("x11 :0", 1s)};
  EXPECT_EQ(machine.Look().action, Action::kReduce);
  machine.signals.presence = {Idle("x11 :0", 179s)};
  EXPECT_FALSE(machine.After(178s).only_gpus.empty());
}

}  // namespace
}  // namespace fallow
