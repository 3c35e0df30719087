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

TEST(DoctorReport, WhatIsBadIsBadForPrograms) {
  const std::vector<Finding> findings = {{"agent", Health::kBad, "has not joined", "join"}};
  EXPECT_TRUE(AnyBad(findings));
  EXPECT_THAT(DoctorJson(findings), HasSubstr(R"("health": "bad")"));
}

}  // namespace
}  // namespace fallow
