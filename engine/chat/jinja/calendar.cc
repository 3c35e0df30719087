#include "engine/chat/jinja/calendar.h"

#include <fmt/format.h>

#include <chrono>

#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

std::chrono::year_month_day DateOf(const CivilTime& time) {
  return std::chrono::year(time.year) / static_cast<int>(time.month) / time.day;
}

int DayOfYear(const CivilTime& time) {
  const std::chrono::sys_days first = std::chrono::year(time.year) / 1 / 1;
  return static_cast<int>((std::chrono::sys_days(DateOf(time)) - first).count()) + 1;
}

// What a mark stands for; empty if it is not known.
std::string Expand(char mark, const CivilTime& time) {
  constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
  constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
  const std::string_view month = kMonths[time.month - 1];
  const std::string_view day =
      kDays[std::chrono::weekday(std::chrono::sys_days(DateOf(time))).c_encoding()];
  const int hour = time.hour % 12 == 0 ? 12 : time.hour % 12;
  switch (mark) {
    case 'Y':
      return fmt::format("{:04}", time.year);
    case 'y':
      return fmt::format("{:02}", time.year % 100);
    case 'm':
      return fmt::format("{:02}", time.month);
    case 'd':
      return fmt::format("{:02}", time.day);
    case 'e':
      return fmt::format("{:2}", time.day);
    case 'j':
      return fmt::format("{:03}", DayOfYear(time));
    case 'B':
      return std::string(month);
    case 'b':
      return std::string(month.substr(0, 3));
    case 'A':
      return std::string(day);
    case 'a':
      return std::string(day.substr(0, 3));
    case 'H':
      return fmt::format("{:02}", time.hour);
    case 'I':
      return fmt::format("{:02}", hour);
    case 'M':
      return fmt::format("{:02}", time.minute);
    case 'S':
      return fmt::format("{:02}", time.second);
    case 'p':
      return time.hour < 12 ? "AM" : "PM";
    case '%':
      return "%";
    default:
      return {};
  }
}

}  // namespace

bool IsCivilTime(const CivilTime& time) {
  return time.year >= 1 && time.year <= 9999 && time.month >= 1 && time.day >= 1 &&
         DateOf(time).ok() && time.hour >= 0 && time.hour < 24 && time.minute >= 0 &&
         time.minute < 60 && time.second >= 0 && time.second < 60;
}

Result<Text> FormatTime(const Text& format, const CivilTime& time) {
  Text written;
  const std::string_view bytes = format.bytes();
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t mark = std::min(bytes.find('%', at), bytes.size());
    written.Append(format, at, mark - at);
    if (mark == bytes.size()) break;
    const bool bare = bytes.substr(mark).starts_with("%-");
    const std::size_t place = mark + (bare ? 2 : 1);
    std::string expanded = place < bytes.size() ? Expand(bytes[place], time) : std::string();
    if (expanded.empty() ||
        (bare && std::string_view("YymdHIMSj").find(bytes[place]) == std::string_view::npos)) {
      return Fail(ErrorCode::kUnimplemented,
                  fmt::format("strftime_now: the format \"{}\" is not known",
                              Shown(bytes.substr(mark, place + 1 - mark))));
    }
    if (bare) expanded.erase(0, std::min(expanded.find_first_not_of('0'), expanded.size() - 1));
    written.Append(expanded, Writer::kTemplate);
    at = place + 1;
  }
  return written;
}

}  // namespace fallow::engine::jinja
