#include "agent/daemon/policy/owner_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Tuesday, 28 July 2026, 12:00 of a clock two hours ahead.
const WallTime kNow = WallTimeFromUnixMs(1'785'232'800'000);
const OffsetAt kTwoHours = [](WallTime) { return 120min; };

Result<WallTime> Past(std::string_view text) {
  return ParsePastTime(text, kNow, kTwoHours);
}
Result<WallTime> Coming(std::string_view text) {
  return ParseComingTime(text, kNow, kTwoHours);
}

TEST(OwnerTimes, AClockAloneIsTheLastTimeItWasThatLate) {
  EXPECT_EQ(Past("11:30"), kNow - 30min);
  EXPECT_EQ(Past("12:00"), kNow);
  EXPECT_EQ(Past("12:01"), kNow - 24h + 1min);
  EXPECT_EQ(Past("11:59:30"), kNow - 30s);
  EXPECT_EQ(Past("9:05"), kNow - 2h - 55min);
  EXPECT_EQ(Past("9pm"), kNow - 15h);
  EXPECT_EQ(Past("9:40 PM"), kNow - 14h - 20min);
  EXPECT_EQ(Past("12am"), kNow - 12h);
  EXPECT_EQ(Past("12pm"), kNow);
}

TEST(OwnerTimes, ADayMayStandBefore) {
  EXPECT_EQ(Past("today 8:00"), kNow - 4h);
  EXPECT_EQ(Past("yesterday 21:40"), kNow - 14h - 20min);
  EXPECT_EQ(Past("Yesterday  9pm "), kNow - 15h);
  EXPECT_EQ(Past("yesterday"), kNow - 36h);
  EXPECT_EQ(Past("mon 12:00"), kNow - 24h);
  EXPECT_EQ(Past("Tuesday 11:00"), kNow - 1h);
  EXPECT_EQ(Past("tue 13:00"), kNow - 7 * 24h + 1h);
  EXPECT_EQ(Past("wednesday 12:00"), kNow - 6 * 24h);
}

TEST(OwnerTimes, DatesAsProgramsWriteThem) {
  EXPECT_EQ(Past("2026-07-27 12:00"), kNow - 24h);
  EXPECT_EQ(Past("2026-07-27"), kNow - 36h);
  EXPECT_EQ(Past("2026-07-27T12:00:30"), kNow - 24h + 30s);
  EXPECT_EQ(Past("2026-07-27T12:00:30.250Z"), kNow - 22h + 30s);
  EXPECT_EQ(Past("2026-07-27 12:00 +02:00"), kNow - 24h);
  EXPECT_EQ(Past("2026-07-27T12:00-0930"), kNow - 24h + 11h + 30min);
}

TEST(OwnerTimes, LengthsOfTimeCountBack) {
  EXPECT_EQ(Past("now"), kNow);
  EXPECT_EQ(Past("2h ago"), kNow - 2h);
  EXPECT_EQ(Past("5 minutes ago"), kNow - 5min);
  EXPECT_EQ(Past("1h30m"), kNow - 90min);
}

TEST(OwnerTimes, WhatIsStillToComeIsNoPastTime) {
  for (const char* text : {"2026-12-24 18:00", "today 12:01", "tomorrow", "2026-07-28T12:00Z"}) {
    const auto time = Past(text);
    ASSERT_FALSE(time) << text;
    EXPECT_THAT(time.error().message, HasSubstr("is still to come")) << text;
  }
  EXPECT_THAT(Past("2026-12-24 18:00").error().message, HasSubstr("2026-12-24 18:00:00"));
}

TEST(OwnerTimes, OfComingTimesTheNextIsMeant) {
  EXPECT_EQ(Coming("18:00"), kNow + 6h);
  EXPECT_EQ(Coming("12:00"), kNow + 24h);
  EXPECT_EQ(Coming("8:00"), kNow + 20h);
  EXPECT_EQ(Coming("tomorrow 8:00"), kNow + 20h);
  EXPECT_EQ(Coming("tue 12:00"), kNow + 7 * 24h);
  EXPECT_EQ(Coming("tue 1pm"), kNow + 1h);
  EXPECT_EQ(Coming("mon"), kNow + 5 * 24h + 12h);
  EXPECT_EQ(Coming("2026-07-29 12:00"), kNow + 24h);
  for (const char* text : {"yesterday 18:00", "today 11:00", "2026-07-28 12:00"})
    EXPECT_THAT(Coming(text).error().message, HasSubstr("is over already")) << text;
  for (const char* text : {"now", "2h", "2h ago"}) EXPECT_FALSE(Coming(text)) << text;
}

TEST(OwnerTimes, AreReadByTheOffsetThatHeldThen) {
  // An hour less from a day before on, as after a summer.
  const OffsetAt offset_at = [](WallTime time) { return time < kNow - 24h ? 120min : 60min; };
  EXPECT_EQ(ParsePastTime("10:00", kNow, offset_at), kNow - 1h);
  EXPECT_EQ(ParsePastTime("2026-07-20 12:00", kNow, offset_at), kNow - 8 * 24h);
}

// Berlin, where clocks go back from 3:00 to 2:00, and New York, from 2:00 to 1:00.
constexpr auto kOctober = std::chrono::sys_days(std::chrono::year(2026) / 10 / 25);
const OffsetAt kBerlin = [](WallTime time) { return time < kOctober + 1h ? 120min : 60min; };
constexpr auto kNovember = std::chrono::sys_days(std::chrono::year(2026) / 11 / 1);
const OffsetAt kNewYork = [](WallTime time) { return time < kNovember + 6h ? -240min : -300min; };

TEST(OwnerTimes, OfATimeThatComesTwiceTheNearestIsMeant) {
  // 2:40 for the first time, and for the second.
  const WallTime first = kOctober + 40min, second = first + 1h;
  EXPECT_EQ(ParsePastTime("2:30", first, kBerlin), first - 10min);
  EXPECT_EQ(ParseComingTime("2:50", first, kBerlin), first + 10min);
  EXPECT_EQ(ParseComingTime("2:30", first, kBerlin), first + 50min);
  EXPECT_EQ(ParsePastTime("2:30", second, kBerlin), second - 10min);
  EXPECT_EQ(ParsePastTime("2:50", second, kBerlin), second - 50min);
  EXPECT_EQ(ParseComingTime("2:50", second, kBerlin), second + 10min);
  EXPECT_EQ(ParseComingTime("today 2:50", second, kBerlin), second + 10min);
  EXPECT_EQ(ParsePastTime("2026-10-25 2:30", first, kBerlin), first - 10min);
  const WallTime new_york = kNovember + 6h + 20min;  // 1:20 for the second time
  EXPECT_EQ(ParseComingTime("1:30", new_york, kNewYork), new_york + 10min);
  EXPECT_EQ(ParsePastTime("1:10", new_york, kNewYork), new_york - 10min);
}

TEST(OwnerTimes, ATimeThatNeverComesIsWhenItWouldHave) {
  constexpr auto march = std::chrono::sys_days(std::chrono::year(2026) / 3 / 8);
  // From 2:00 to 3:00.
  const OffsetAt new_york = [&](WallTime time) { return time < march + 7h ? -300min : -240min; };
  const WallTime before = march + 6h + 45min;
  EXPECT_EQ(ParseComingTime("2:30", before, new_york), before + 45min);
  EXPECT_EQ(ParseComingTime("3:30", before, new_york), before + 45min);
  EXPECT_EQ(ParseComingTime("1:50", before, new_york), before + 5min);
}

TEST(OwnerTimes, AnythingElseIsRefusedByName) {
  for (const char* text : {"",
                           " ",
                           "24:00",
                           "12:60",
                           "13pm",
                           "0am",
                           "9",
                           "9 21",
                           "2140",
                           "21.40",
                           "21:4",
                           "21:40x",
                           "2026-02-30 12:00",
                           "2026-07-27x12:00",
                           "2026-07-27t",
                           "2026-07-27 +02:00",
                           "2026-07-27 12:00 +99:00",
                           "noon",
                           "12-00",
                           "yesterday21:40",
                           "monday 9:00 z",
                           "12:00:",
                           "12:00:5",
                           "-5m",
                           "ago",
                           "2h hence",
                           "mon tue 9:00",
                           "\xff"}) {
    ASSERT_FALSE(Past(text)) << text;
    EXPECT_EQ(Past(text).error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_THAT(Past(text).error().message, HasSubstr("is no time: write 21:40")) << text;
    EXPECT_FALSE(Coming(text)) << text;
  }
  EXPECT_FALSE(Past(std::string(100'000, '1')));
}

}  // namespace
}  // namespace fallow
