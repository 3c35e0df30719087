#include "agent/daemon/policy/owner_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/local_time.h"
#include "base/utf8.h"

namespace fallow {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;

// Longer texts are no time.
constexpr std::size_t kMaxTimeBytes = 64;
constexpr std::array<std::string_view, 7> kWeekdays = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

// What was written: a day, a clock, or both.
struct Written {
  std::optional<int> days_from_today;
  std::optional<int> weekday;  // 0 is Monday
  std::optional<sys_days> date;
  std::optional<seconds> clock;
  std::optional<minutes> zone;  // ahead of UTC
};

// Lower case, without blanks at the ends, with one between words.
std::string Normalized(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    if (c == ' ' || c == '\t') {
      if (!plain.empty() && plain.back() != ' ') plain += ' ';
    } else {
      plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A number of `least` to `most` digits, as many as there are.
std::optional<int> TakeNumber(std::string_view& text, std::size_t least, std::size_t most) {
  int value = 0;
  std::size_t count = 0;
  while (count < text.size() && count < most && text[count] >= '0' && text[count] <= '9')
    value = value * 10 + (text[count++] - '0');
  if (count < least) return std::nullopt;
  text.remove_prefix(count);
  return value;
}

// "am" and "pm" behind a clock make 1 to 12 of it an hour of 24.
std::optional<int> HourOfDay(int hour, std::string_view& text) {
  std::string_view rest = text;
  TakePrefix(rest, " ");
  const bool am = rest.starts_with("am"), pm = rest.starts_with("pm");
  if (!am && !pm) return hour < 24 ? std::optional(hour) : std::nullopt;
  if (hour < 1 || hour > 12) return std::nullopt;
  text = rest.substr(2);
  return hour % 12 + (pm ? 12 : 0);
}

// "21:40", "9:05:30.250", "9pm", "9:40 pm"
std::optional<seconds> TakeClock(std::string_view& text) {
  const auto hour = TakeNumber(text, 1, 2);
  if (!hour) return std::nullopt;
  const bool has_minute = TakePrefix(text, ":");
  const auto minute = has_minute ? TakeNumber(text, 2, 2) : 0;
  const bool has_second = has_minute && TakePrefix(text, ":");
  const auto second = has_second ? TakeNumber(text, 2, 2) : 0;
  if (has_second && TakePrefix(text, ".") && !TakeNumber(text, 1, 9)) return std::nullopt;
  const std::size_t before = text.size();
  const auto hour_of_day = HourOfDay(*hour, text);
  const bool has_half = text.size() != before;
  if (!hour_of_day || !minute || !second || *minute > 59 || *second > 59) return std::nullopt;
  if (!has_minute && !has_half) return std::nullopt;
  return hours(*hour_of_day) + minutes(*minute) + seconds(*second);
}

// "z", "+02:00", "-0930", "+02"
std::optional<minutes> TakeZone(std::string_view& text) {
  if (TakePrefix(text, "z")) return minutes(0);
  const bool west = text.starts_with('-');
  if (!west && !text.starts_with('+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hour = TakeNumber(text, 2, 2);
  const bool has_minute = TakePrefix(text, ":") || !text.empty();
  const auto minute = has_minute ? TakeNumber(text, 2, 2) : 0;
  if (!hour || !minute || *hour > 14 || *minute > 59) return std::nullopt;
  const minutes ahead = hours(*hour) + minutes(*minute);
  return west ? -ahead : ahead;
}

std::optional<sys_days> TakeDate(std::string_view& text) {
  std::string_view rest = text;
  const auto year = TakeNumber(rest, 4, 4);
  if (!year || !TakePrefix(rest, "-")) return std::nullopt;
  const auto month = TakeNumber(rest, 2, 2);
  if (!month || !TakePrefix(rest, "-")) return std::nullopt;
  const auto day = TakeNumber(rest, 2, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  text = rest;
  return sys_days(date);
}

bool TakeWord(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  if (text.size() > word.size() && text[word.size()] != ' ') return false;
  text.remove_prefix(word.size());
  return true;
}

bool TakeDay(std::string_view& text, Written& into) {
  constexpr std::array<std::pair<std::string_view, int>, 3> kNear = {
      {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}}};
  for (const auto& [word, away] : kNear) {
    if (!TakeWord(text, word)) continue;
    into.days_from_today = away;
    return true;
  }
  for (int i = 0; i < 7; ++i) {
    const std::string_view name = kWeekdays[static_cast<std::size_t>(i)];
    if (!TakeWord(text, name) && !TakeWord(text, name.substr(0, 3))) continue;
    into.weekday = i;
    return true;
  }
  into.date = TakeDate(text);
  return into.date.has_value();
}

std::optional<Written> ParseWritten(std::string_view text) {
  Written written;
  const bool has_day = TakeDay(text, written);
  if (has_day && text.empty()) return written;
  if (has_day && !TakePrefix(text, " ") && !(written.date && TakePrefix(text, "t")))
    return std::nullopt;
  written.clock = TakeClock(text);
  if (!written.clock) return std::nullopt;
  if (written.date && !text.empty()) {
    TakePrefix(text, " ");
    written.zone = TakeZone(text);
    if (!written.zone) return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  return written;
}

// Where it may be one of several days, the nearest on the wanted side of `now`.
class Resolver {
 public:
  Resolver(WallTime now, const OffsetAt& offset_at) : now_(now), offset_at_(offset_at) {
    today_ = floor<days>(now + offset_at(now));
  }

  WallTime Last(const Written& written) const { return Nearest(written, -1); }
  WallTime Next(const Written& written) const { return Nearest(written, 1); }

 private:
  WallTime Nearest(const Written& written, int direction) const {
    const seconds clock = written.clock.value_or(seconds(0));
    if (written.zone) return WallTime(*written.date + clock - *written.zone);
    if (written.date) return At(*written.date + clock, direction);
    if (written.days_from_today)
      return At(today_ + days(*written.days_from_today) + clock, direction);
    const int step = written.weekday ? 7 : 1;
    sys_days day = today_;
    if (written.weekday) {
      const int from = static_cast<int>(std::chrono::weekday(today_).iso_encoding()) - 1;
      day += days(direction * ((direction * (*written.weekday - from) + 7) % 7));
    }
    const WallTime time = At(day + clock, direction);
    return IsWanted(time, direction) ? time : At(day + days(direction * step) + clock, direction);
  }

  bool IsWanted(WallTime time, int direction) const {
    return direction < 0 ? time <= now_ : time > now_;
  }

  // When clocks show that: twice where they are set back over it, of which the nearest to `now` on
  // the wanted side is meant. Where they are set forward over it, as if they were not.
  WallTime At(std::chrono::sys_seconds local, int direction) const {
    const WallTime about(local);
    const minutes before = offset_at_(about - days(1)), after = offset_at_(about + days(1));
    const WallTime earlier(local - std::max(before, after));
    const WallTime later(local - std::min(before, after));
    if (before < after) return offset_at_(earlier) == after ? earlier : later;
    if (offset_at_(later) != after) return earlier;
    if (offset_at_(earlier) != before) return later;
    const WallTime nearest = direction < 0 ? later : earlier;
    const WallTime other = direction < 0 ? earlier : later;
    return IsWanted(nearest, direction) ? nearest : other;
  }

  const WallTime now_;
  const OffsetAt& offset_at_;
  sys_days today_;
};

std::unexpected<Error> NoTime(std::string_view text, std::string_view more) {
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("\"{}\" is no time: write 21:40, 9:40pm, \"{} 21:40\", \"mon 21:40\"{} or "
                  "\"2026-07-30 21:40\"",
                  ToValidUtf8(text, 40), more.empty() ? "tomorrow" : "yesterday", more));
}

std::unexpected<Error> WrongSide(std::string_view text, WallTime time, const OffsetAt& offset_at,
                                 std::string_view what) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\", {}, {}", ToValidUtf8(text, 40),
                                                       LocalDateTime(time, offset_at(time)), what));
}

}  // namespace

Result<WallTime> ParsePastTime(std::string_view text, WallTime now, const OffsetAt& offset_at) {
  constexpr std::string_view kMore = ", \"2h ago\"";
  if (text.size() > kMaxTimeBytes) return NoTime(text, kMore);
  const std::string plain = Normalized(text);
  if (plain == "now") return now;
  std::string_view length = plain;
  if (length.ends_with(" ago")) length.remove_suffix(4);
  if (const auto ago = ParseDuration(length)) return now - *ago;
  const auto written = ParseWritten(plain);
  if (!written) return NoTime(text, kMore);
  const WallTime time = Resolver(now, offset_at).Last(*written);
  if (time > now) return WrongSide(text, time, offset_at, "is still to come");
  return time;
}

Result<WallTime> ParseComingTime(std::string_view text, WallTime now, const OffsetAt& offset_at) {
  if (text.size() > kMaxTimeBytes) return NoTime(text, "");
  const auto written = ParseWritten(Normalized(text));
  if (!written) return NoTime(text, "");
  const WallTime time = Resolver(now, offset_at).Next(*written);
  if (time <= now) return WrongSide(text, time, offset_at, "is over already");
  return time;
}

}  // namespace fallow
