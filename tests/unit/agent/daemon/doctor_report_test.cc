#include "agent/daemon/doctor_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using ::testing::HasSubstr;

TEST(DoctorReport, NamesAnAreaOnceAndTheWayOutBelowItsFinding) {
  const std::vector<Finding> findings = {
      {"presence", Health::kGood, "wayland: idle for 3 s", ""},
      {"presence", Health::kNone, "gamepads: cannot tell", ""},
      {"heat", Health::kWarning, "no temperature", "load a driver"}};
  EXPECT_EQ(DoctorText(findings),
            "presence    ok    wayland: idle for 3 s\n"
            "            -     gamepads: cannot tell\n"
            "heat        warn  no temperature\n"
            "                  → load a driver\n"
            "\n0 to mend, 1 to know.\n");
  EXPECT_FALSE(AnyBad(findings));
}

TEST(DoctorReport, SaysWhenAllIsWell) {
  const std::vector<Finding> findings = {{"agent", Health::kGood, "runs", ""}};
  EXPECT_THAT(DoctorText(findings), HasSubstr("Everything that is needed is there."));
}

TEST(DoctorReport, AnAgentThatIsFaultyIsToBeMended) {
  EXPECT_EQ(AgentFinding("idle", "waiting for work").health, Health::kGood);
  const Finding faulty = AgentFinding("faulty", "the disk is full");
  EXPECT_EQ(faulty.health, Health::kBad);
  EXPECT_EQ(faulty.text, "runs: faulty, the disk is full");
  EXPECT_FALSE(faulty.way_out.empty());
}

TEST(DoctorReport, SaysWhoWouldTellWhatNobodyTells) {
  EXPECT_EQ(YesOrNoFinding("network", "paid by volume", true, "somebody").text,
            "paid by volume: yes");
  const Finding untold = YesOrNoFinding("network", "paid by volume", std::nullopt, "somebody");
  EXPECT_EQ(untold.text, "paid by volume: cannot tell, somebody would");
  EXPECT_EQ(untold.health, Health::kNone);
}

TEST(DoctorReport, CompositorThatTellsNoFullScreenIsAWarningWithTheWayOut) {
  const Finding finding =
      SignalFinding({.source = "wayland wayland-0",
                     .kind = "full_screen",
                     .detail = "GNOME's compositor tells no program what fills it"});
  EXPECT_EQ(finding.health, Health::kWarning);
  EXPECT_EQ(finding.text,
            "wayland wayland-0: cannot tell, GNOME's compositor tells no program what fills it");
  EXPECT_THAT(finding.way_out, HasSubstr("gamemoderun"));
  EXPECT_THAT(finding.way_out, HasSubstr("presence.programs"));
}

TEST(DoctorReport, DesktopThatTellsNoInhibitorHasAWayOut) {
  const Finding finding = SignalFinding({.source = "desktop", .kind = "idle_inhibitor"});
  EXPECT_EQ(finding.health, Health::kNone) << "the display may tell of them";
  EXPECT_THAT(finding.way_out, HasSubstr("presence.programs"));
}

TEST(DoctorReport, SignalThatIsToldNeedsNoWayOut) {
  const Finding active = SignalFinding({.source = "wayland wayland-0",
                                        .kind = "full_screen",
                                        .known = true,
                                        .active = true,
                                        .detail = "mpv"});
  EXPECT_EQ(active.health, Health::kGood);
  EXPECT_EQ(active.text, "wayland wayland-0: active, mpv");
  EXPECT_EQ(active.way_out, "");
  const Finding quiet = SignalFinding({.source = "desktop", .known = true});
  EXPECT_EQ(quiet.text, "desktop: quiet");
  EXPECT_EQ(quiet.way_out, "");
  const Finding unused = SignalFinding({.source = "x11 :0", .kind = "full_screen"});
  EXPECT_EQ(unused.health, Health::kNone) << "nobody uses XWayland";
  EXPECT_EQ(unused.way_out, "");
}

TEST(DoctorReport, WhatIsBadIsBadForPrograms) {
  const std::vector<Finding> findings = {{"agent", Health::kBad, "has not joined", "join"}};
  EXPECT_TRUE(AnyBad(findings));
  EXPECT_THAT(DoctorJson(findings), HasSubstr(R"("health": "bad")"));
}

}  // namespace
}  // namespace fallow
