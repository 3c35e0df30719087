#include "agent/daemon/policy/local_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace fallow {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kMinutesPerDay = 1440;

// Times that no calendar holds are shown as the nearest that it does.
WallTime Sane(WallTime time) {
  constexpr WallTime kFirst{std::chrono::sys_days(std::chrono::year(1970) / 1 / 1)};
  constexpr WallTime kLast{std::chrono::sys_days(std::chrono::year(9999) / 12 / 31)};
  return std::clamp(time, kFirst, kLast);
}

Moment MomentAt(WallTime wall, SteadyTime steady) {
  Moment moment{.steady = steady, .wall = wall};
  const std::time_t time = UnixSeconds(wall);
  if (const std::tm* local = std::localtime(&time)) {
    moment.weekday = (local->tm_wday + 6) % 7;
    moment.minute_of_day = local->tm_hour * 60 + local->tm_min;
  }
  return moment;
}

}  // namespace

Moment MomentNow(const Clock& clock) {
  return MomentAt(clock.Wall(), clock.Steady());
}

minutes LocalOffsetAt(WallTime time) {
  return LocalOffset(MomentAt(Sane(time), {}));
}

minutes LocalOffset(const Moment& moment) {
  const auto wall = Sane(moment.wall);
  const auto day = floor<days>(wall);
  const auto utc_minute = static_cast<int>(floor<minutes>(wall - day).count());
  const int utc_weekday = static_cast<int>(std::chrono::weekday(day).iso_encoding()) - 1;
  // Local time is at most a day away: the weekdays tell on which side.
  int day_difference = (moment.weekday - utc_weekday + 7) % 7;
  if (day_difference == 6) day_difference = -1;
  if (day_difference > 1) day_difference = 0;  // fields that do not belong together
  return minutes(day_difference * kMinutesPerDay + moment.minute_of_day - utc_minute);
}

std::string LocalDateTime(WallTime time, minutes offset) {
  const auto local = Sane(time + offset);
  const auto day = floor<days>(local);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(floor<seconds>(local - day));
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string LocalClock(WallTime time, minutes offset) {
  return LocalDateTime(time, offset).substr(11, 5);
}

}  // namespace fallow
