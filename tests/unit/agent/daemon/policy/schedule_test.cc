#include "agent/daemon/policy/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/daemon/policy/durations.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr int kMonday = 0, kFriday = 4, kSaturday = 5, kSunday = 6;

Settings::Schedule Schedule(std::initializer_list<std::string_view> spans) {
  Settings::Schedule schedule;
  for (const auto text : spans) schedule.allowed.push_back(ParseScheduleSpan(text).value());
  return schedule;
}
constexpr int At(int hour, int minute = 0) {
  return hour * 60 + minute;
}

TEST(Schedule, AllowsAlwaysWhereNothingIsSaid) {
  EXPECT_TRUE(IsAllowed({}, kMonday, 0));
  EXPECT_EQ(MinutesUntilAllowed({}, kSunday, 1439), 0);
}

TEST(Schedule, ASpanHoldsFromItsFirstMinuteToBeforeItsLast) {
  const auto schedule = Schedule({"mon 09:00-17:30"});
  EXPECT_FALSE(IsAllowed(schedule, kMonday, At(8, 59)));
  EXPECT_TRUE(IsAllowed(schedule, kMonday, At(9)));
  EXPECT_TRUE(IsAllowed(schedule, kMonday, At(17, 29)));
  EXPECT_FALSE(IsAllowed(schedule, kMonday, At(17, 30)));
  EXPECT_FALSE(IsAllowed(schedule, kSunday, At(12)));
}

TEST(Schedule, ASpanPastMidnightBelongsToTheDayOnWhichItBegins) {
  const auto schedule = Schedule({"mon-fri 19:00-07:00"});
  EXPECT_FALSE(IsAllowed(schedule, kMonday, At(6)));
  EXPECT_TRUE(IsAllowed(schedule, kMonday, At(19)));
  EXPECT_TRUE(IsAllowed(schedule, kFriday, At(23)));
  EXPECT_TRUE(IsAllowed(schedule, kSaturday, At(6, 59)));
  EXPECT_FALSE(IsAllowed(schedule, kSaturday, At(7)));
  EXPECT_FALSE(IsAllowed(schedule, kSaturday, At(19)));
  const auto sunday_night = Schedule({"sun 22:00-02:00"});
  EXPECT_TRUE(IsAllowed(sunday_night, kMonday, At(1)));
}

TEST(Schedule, SpansAdd) {
  const auto schedule = Schedule({"sat,sun", "22:30-06:00"});
  EXPECT_TRUE(IsAllowed(schedule, kSaturday, At(12)));
  EXPECT_TRUE(IsAllowed(schedule, kFriday, At(23)));
  EXPECT_FALSE(IsAllowed(schedule, kFriday, At(12)));
}

TEST(Schedule, TellsHowLongItIsUntilWorkIsAllowed) {
  const auto schedule = Schedule({"mon-fri 19:00-07:00"});
  EXPECT_EQ(MinutesUntilAllowed(schedule, kMonday, At(18, 58)), 2);
  EXPECT_EQ(MinutesUntilAllowed(schedule, kMonday, At(19)), 0);
  EXPECT_EQ(MinutesUntilAllowed(schedule, kSaturday, At(7)), At(24 - 7) + 1440 + At(19));
  Settings::Schedule never;
  never.allowed.push_back({.days = {}, .from_minute = 0, .to_minute = 10});
  EXPECT_EQ(MinutesUntilAllowed(never, kMonday, 0), std::nullopt);
}

TEST(Schedule, EveryMinuteOfTheWeekAgreesWithTheWait) {
  const auto schedule = Schedule({"mon-wed 10:00-11:15", "fri-mon 23:00-01:00", "thu"});
  for (int now = 0; now < 7 * 1440; now += 7) {
    const int wait = MinutesUntilAllowed(schedule, now / 1440, now % 1440).value();
    const int then = (now + wait) % (7 * 1440);
    ASSERT_TRUE(IsAllowed(schedule, then / 1440, then % 1440)) << now;
    if (wait == 0) continue;
    const int before = (now + wait - 1) % (7 * 1440);
    ASSERT_FALSE(IsAllowed(schedule, before / 1440, before % 1440)) << now;
  }
}

TEST(Schedule, IsWrittenAsItIsRead) {
  for (const char* text :
       {"mon-fri 19:00-07:00", "sat-sun", "22:30-06:00", "mon,wed,fri-sun 00:00-24:00", "mon-sun",
        "fri-mon 20:00-24:00", "00:00-00:00"}) {
    const auto span = ParseScheduleSpan(text).value();
    EXPECT_EQ(ParseScheduleSpan(FormatScheduleSpan(span)).value(), span) << text;
  }
  EXPECT_EQ(FormatScheduleSpan(ParseScheduleSpan("sat,sun").value()), "sat-sun");
  EXPECT_EQ(FormatScheduleSpan(ParseScheduleSpan("mon-sun 22:30-06:00").value()), "22:30-06:00");
}

TEST(Schedule, RefusesWhatIsNoSpan) {
  for (const char* text :
       {"", " ", "mon-", "-fri", "monday", "mon 19:00", "mon 19-07", "mon 24:00-01:00",
        "mon 19:60-20:00", "mon 19:00-24:01", "19:00-07:00 mon", "mon  19:00-07:00", "mon,,tue",
        "mon 19:00-07:00 x", "MON", "1:00-2:00"}) {
    const auto span = ParseScheduleSpan(text);
    ASSERT_FALSE(span) << text;
    EXPECT_THAT(span.error().message, HasSubstr("mon-fri 19:00-07:00"));
  }
}

TEST(Durations, AreReadInTheFormsThatOwnersWrite) {
  for (const auto& [text, value] :
       std::initializer_list<std::pair<const char*, std::chrono::milliseconds>>{
           {"45s", 45s},
           {"3m", 3min},
           {"3 min", 3min},
           {"1h30m", 90min},
           {"1 h 30 m", 90min},
           {"500ms", 500ms},
           {"2d", 48h},
           {"0s", 0s},
           {" 7s ", 7s},
           {"1d1h1m1s1ms", 90'061'001ms}}) {
    const auto duration = ParseDuration(text);
    ASSERT_TRUE(duration) << duration.error().message;
    EXPECT_EQ(*duration, value) << text;
    EXPECT_EQ(ParseDuration(ExactDuration(value)), value) << text;
  }
}

TEST(Durations, RefuseWhatIsNone) {
  for (const char* text : {"", "3", "m", "-3m", "3x", "3m1h", "3m3m", "1.5h", "3 M",
                           "9999999999999d", "366d", "99999999999s"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
  EXPECT_EQ(ParseDuration("3 parsecs").error().message,
            "\"3 parsecs\" is no duration of at most 365d: write 45s, 3m, 1h30m or 2d");
  EXPECT_EQ(ParseDuration("365d"), kMaxDuration);
}

TEST(Durations, AreShort) {
  EXPECT_EQ(TimeLeft(0ms), "0 s");
  EXPECT_EQ(TimeLeft(1ms), "1 s");
  EXPECT_EQ(TimeLeft(119s), "119 s");
  EXPECT_EQ(TimeLeft(121s), "3 min");
  EXPECT_EQ(TimeLeft(2h), "2 h");
  EXPECT_EQ(TimeLeft(2h + 4min + 1s), "2 h 5 min");
  EXPECT_EQ(TimeLeft(48h), "2 d");
  EXPECT_EQ(TimeLeft(148h + 8min), "6 d 5 h");
  EXPECT_EQ(ParseDuration("2 hours"), 2h);
  EXPECT_EQ(ParseDuration("1 hour 5 minutes"), 65min);
  EXPECT_EQ(ShortDuration(999ms), "0 s");
  EXPECT_EQ(ShortDuration(119s), "119 s");
  EXPECT_EQ(ShortDuration(120s), "2 min");
  EXPECT_EQ(ShortDuration(119min), "119 min");
  EXPECT_EQ(ShortDuration(50h), "50 h");
  EXPECT_EQ(ExactDuration(36h), "36h");
  EXPECT_EQ(ExactDuration(48h), "2d");
}

}  // namespace
}  // namespace fallow
