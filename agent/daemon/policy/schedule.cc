#include "agent/daemon/policy/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/utf8.h"

namespace fallow {
namespace {

constexpr int kMinutesPerDay = 1440;
constexpr int kMinutesPerWeek = 7 * kMinutesPerDay;
constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

using Span = Settings::Schedule::Span;

std::optional<int> ParseDay(std::string_view name) {
  const auto at = std::ranges::find(kDays, name);
  if (at == kDays.end()) return std::nullopt;
  return static_cast<int>(at - kDays.begin());
}

// "mon-fri,sun"
bool ParseDays(std::string_view text, std::array<bool, 7>& days) {
  while (true) {
    const auto comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const auto dash = part.find('-');
    const auto first = ParseDay(part.substr(0, dash));
    const auto last = dash == part.npos ? first : ParseDay(part.substr(dash + 1));
    if (!first || !last) return false;
    for (int day = *first;; day = (day + 1) % 7) {
      days[static_cast<std::size_t>(day)] = true;
      if (day == *last) break;
    }
    if (comma == text.npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// "19:00": minutes of the day, up to 24:00.
std::optional<int> ParseClock(std::string_view text) {
  const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '9'; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4))
    return std::nullopt;
  const int hour = (text[0] - '0') * 10 + text[1] - '0';
  const int minute = (text[3] - '0') * 10 + text[4] - '0';
  if (minute > 59 || hour * 60 + minute > kMinutesPerDay) return std::nullopt;
  return hour * 60 + minute;
}

bool ParseHours(std::string_view text, Span& span) {
  const auto dash = text.find('-');
  if (dash == text.npos) return false;
  const auto from = ParseClock(text.substr(0, dash));
  const auto to = ParseClock(text.substr(dash + 1));
  if (!from || !to || *from == kMinutesPerDay) return false;
  span.from_minute = *from;
  span.to_minute = *to;
  return true;
}

std::optional<Span> Parse(std::string_view text) {
  Span span;
  const auto blank = text.find(' ');
  const std::string_view first = text.substr(0, blank);
  const std::string_view second = blank == text.npos ? "" : text.substr(blank + 1);
  if (ParseDays(first, span.days)) {
    if (blank != text.npos && !ParseHours(second, span)) return std::nullopt;
    return span;
  }
  span = {};
  span.days.fill(true);
  if (blank != text.npos || !ParseHours(first, span)) return std::nullopt;
  return span;
}

std::string FormatDays(const std::array<bool, 7>& days) {
  std::string text;
  for (std::size_t first = 0; first < 7;) {
    if (!days[first]) {
      ++first;
      continue;
    }
    std::size_t last = first;
    while (last + 1 < 7 && days[last + 1]) ++last;
    if (!text.empty()) text += ',';
    text += kDays[first];
    if (last > first) fmt::format_to(std::back_inserter(text), "-{}", kDays[last]);
    first = last + 1;
  }
  return text;
}

bool Allows(const Span& span, int weekday, int minute) {
  const auto today = static_cast<std::size_t>(weekday);
  if (span.to_minute > span.from_minute)
    return span.days[today] && minute >= span.from_minute && minute < span.to_minute;
  return (span.days[today] && minute >= span.from_minute) ||
         (span.days[(today + 6) % 7] && minute < span.to_minute);
}

}  // namespace

Result<Span> ParseScheduleSpan(std::string_view text) {
  if (const auto span = Parse(text)) return *span;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("\"{}\" is no span of days and hours: write \"mon-fri 19:00-07:00\", "
                          "\"sat,sun\" or \"22:30-06:00\"",
                          ToValidUtf8(text, 40)));
}

std::string FormatScheduleSpan(const Span& span) {
  const bool whole_day = span.from_minute == 0 && span.to_minute == kMinutesPerDay;
  const bool every_day = std::ranges::all_of(span.days, [](bool day) { return day; });
  std::string text = every_day && !whole_day ? "" : FormatDays(span.days);
  if (whole_day) return text;
  if (!text.empty()) text += ' ';
  return text + fmt::format("{:02}:{:02}-{:02}:{:02}", span.from_minute / 60, span.from_minute % 60,
                            span.to_minute / 60, span.to_minute % 60);
}

bool IsAllowed(const Settings::Schedule& schedule, int weekday, int minute_of_day) {
  return schedule.allowed.empty() || std::ranges::any_of(schedule.allowed, [&](const Span& span) {
           return Allows(span, weekday, minute_of_day);
         });
}

std::optional<int> MinutesUntilAllowed(const Settings::Schedule& schedule, int weekday,
                                       int minute_of_day) {
  if (IsAllowed(schedule, weekday, minute_of_day)) return 0;
  std::optional<int> least;
  const int now = weekday * kMinutesPerDay + minute_of_day;
  for (const Span& span : schedule.allowed) {
    for (int day = 0; day < 7; ++day) {
      if (!span.days[static_cast<std::size_t>(day)]) continue;
      const int begin = day * kMinutesPerDay + span.from_minute;
      const int wait = (begin - now + kMinutesPerWeek) % kMinutesPerWeek;
      if (!least || wait < *least) least = wait;
    }
  }
  return least;
}

}  // namespace fallow
