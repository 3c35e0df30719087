#include "agent/daemon/idle_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

PresenceReading Idle(std::string source, std::chrono::milliseconds idle_for) {
  return {.source = std::move(source), .known = true, .idle_for = idle_for, .detail = ""};
}
PresenceReading Unknown(std::string source, std::string why) {
  return {.source = std::move(source), .known = false, .idle_for = {}, .detail = std::move(why)};
}
IdleDecision Decide(std::vector<PresenceReading> readings, bool running = false,
                    IdleSettings settings = {}) {
  return DecideIdle(settings, readings, running);
}

TEST(IdlePolicy, CountsAsInUseWhenNothingCanTell) {
  const IdleDecision decision =
      Decide({Unknown("x11", "DISPLAY is not set"), Unknown("logind", "no bus")});
  EXPECT_FALSE(decision.run);
  EXPECT_THAT(decision.reason, HasSubstr("x11: DISPLAY is not set; logind: no bus"));
  EXPECT_FALSE(Decide({}).run);
  EXPECT_FALSE(Decide({}, /*running=*/true).run);
}

TEST(IdlePolicy, RunsOnceTheThresholdHasPassed) {
  EXPECT_FALSE(Decide({Idle("x11", 179'999ms)}).run);
  EXPECT_TRUE(Decide({Idle("x11", 180'000ms)}).run);
}

TEST(IdlePolicy, TheLeastIdleSourceThatKnowsCounts) {
  EXPECT_FALSE(Decide({Idle("x11", 1h), Idle("logind", 5s)}).run);
  EXPECT_TRUE(Decide({Idle("x11", 1h), Unknown("logind", "no bus")}).run);
}

TEST(IdlePolicy, InputStopsWorkAtOnceButRoundingDoesNot) {
  EXPECT_FALSE(Decide({Idle("x11", 0ms)}, /*running=*/true).run);
  EXPECT_TRUE(Decide({Idle("x11", 175s)}, /*running=*/true).run);
  EXPECT_FALSE(Decide({Idle("x11", 175s)}, /*running=*/false).run);
  EXPECT_FALSE(Decide({Idle("x11", 169s)}, /*running=*/true).run);
}

TEST(IdlePolicy, ShortThresholdsKeepSomeHysteresisAndStillStop) {
  const IdleSettings settings{.idle_after = 4s};
  EXPECT_TRUE(Decide({Idle("x11", 2s)}, true, settings).run);
  EXPECT_FALSE(Decide({Idle("x11", 1999ms)}, true, settings).run);
}

TEST(IdlePolicy, ADedicatedMachineIsAlwaysFree) {
  EXPECT_TRUE(Decide({}, false, {.dedicated = true}).run);
  EXPECT_TRUE(Decide({Idle("x11", 0ms)}, false, {.dedicated = true}).run);
}

TEST(IdlePolicy, ReasonsAreWords) {
  EXPECT_EQ(Decide({Idle("x11 :0", 4s)}).reason,
            "input 4 s ago (x11 :0); free after 3 min without");
  EXPECT_EQ(Decide({Idle("x11 :0", 20min)}).reason, "no input for 20 min (x11 :0)");
}

TEST(IdlePolicy, DurationsAreShort) {
  EXPECT_EQ(ShortDuration(999ms), "0 s");
  EXPECT_EQ(ShortDuration(119s), "119 s");
  EXPECT_EQ(ShortDuration(120s), "2 min");
  EXPECT_EQ(ShortDuration(119min), "119 min");
  EXPECT_EQ(ShortDuration(50h), "50 h");
}

}  // namespace
}  // namespace fallow
