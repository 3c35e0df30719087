#include "agent/daemon/policy/local_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <optional>

#include "base/utf8.h"

namespace fallow {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kMinutesPerDay = 1440;

// Digits of exactly this many places.
std::optional<int> Digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// "21:40" or "21:40:30"
std::optional<seconds> ParseClock(std::string_view text) {
  const auto hour = Digits(text, 0, 2), minute = Digits(text, 3, 2);
  if (!hour || !minute || *hour > 23 || *minute > 59 || text[2] != ':') return std::nullopt;
  seconds time = std::chrono::hours(*hour) + minutes(*minute);
  if (text.size() == 5) return time;
  const auto second = Digits(text, 6, 2);
  if (!second || *second > 59 || text[5] != ':' || text.size() != 8) return std::nullopt;
  return time + seconds(*second);
}

std::optional<std::chrono::sys_days> ParseDate(std::string_view text) {
  const auto year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  if (!year || !month || !day || text[4] != '-' || text[7] != '-' || text.size() != 10)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return date;
}

// Times that no calendar holds are shown as the nearest that it does.
WallTime Sane(WallTime time) {
  constexpr WallTime kFirst{std::chrono::sys_days(std::chrono::year(1970) / 1 / 1)};
  constexpr WallTime kLast{std::chrono::sys_days(std::chrono::year(9999) / 12 / 31)};
  return std::clamp(time, kFirst, kLast);
}

}  // namespace

Moment MomentNow(const Clock& clock) {
  Moment moment{.steady = clock.Steady(), .wall = clock.Wall()};
  const std::time_t time = UnixSeconds(moment.wall);
  if (const std::tm* local = std::localtime(&time)) {
    moment.weekday = (local->tm_wday + 6) % 7;
    moment.minute_of_day = local->tm_hour * 60 + local->tm_min;
  }
  return moment;
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

Result<WallTime> ParseLocalTime(std::string_view text, const Moment& now) {
  const minutes offset = LocalOffset(now);
  const auto local_now = Sane(now.wall) + offset;
  if (const auto clock = ParseClock(text)) {
    auto local = floor<days>(local_now) + *clock;
    if (local > local_now) local -= days(1);
    return WallTime(local - offset);
  }
  if (text.size() > 11 && (text[10] == ' ' || text[10] == 'T')) {
    const auto date = ParseDate(text.substr(0, 10));
    const auto clock = ParseClock(text.substr(11));
    if (date && clock) return WallTime(*date + *clock - offset);
  }
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("\"{}\" is no time: write 21:40 or \"2026-07-30 21:40\"", ToValidUtf8(text, 40)));
}

}  // namespace fallow
