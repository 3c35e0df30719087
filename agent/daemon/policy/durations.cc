#include "agent/daemon/policy/durations.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace fallow {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
// The larger unit first: the order in which they may follow each other.
constexpr std::array<Unit, 5> kUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

// What people write instead.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kUnitWords = {
    {{"sec", "s"},
     {"secs", "s"},
     {"second", "s"},
     {"seconds", "s"},
     {"min", "m"},
     {"mins", "m"},
     {"minute", "m"},
     {"minutes", "m"},
     {"hour", "h"},
     {"hours", "h"},
     {"day", "d"},
     {"days", "d"}}};

void SkipBlanks(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

// Up to ten digits; none if there is no digit, or if there are more.
std::optional<std::int64_t> TakeNumber(std::string_view& text) {
  std::int64_t number = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits == 10) return std::nullopt;
    number = number * 10 + (text[digits] - '0');
    ++digits;
  }
  text.remove_prefix(digits);
  return digits == 0 ? std::nullopt : std::optional(number);
}

// The index of a unit, and its letters taken from the text.
std::optional<std::size_t> TakeUnit(std::string_view& text) {
  std::size_t letters = 0;
  while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
  std::string_view name = text.substr(0, letters);
  text.remove_prefix(letters);
  for (const auto& [word, unit] : kUnitWords)
    if (name == word) name = unit;
  for (std::size_t i = 0; i < kUnits.size(); ++i)
    if (kUnits[i].name == name) return i;
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> Parse(std::string_view text) {
  std::int64_t total_ms = 0;
  std::size_t next_unit = 0;
  SkipBlanks(text);
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const auto number = TakeNumber(text);
    if (!number) return std::nullopt;
    SkipBlanks(text);
    const auto unit = TakeUnit(text);
    if (!unit || *unit < next_unit) return std::nullopt;
    next_unit = *unit + 1;
    total_ms += *number * kUnits[*unit].ms;
    if (total_ms > kMaxDuration.count()) return std::nullopt;
    SkipBlanks(text);
  }
  return std::chrono::milliseconds(total_ms);
}

}  // namespace

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  if (const auto duration = Parse(text)) return *duration;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("\"{}\" is no duration of at most {}: write 45s, 3m, 1h30m or 2d",
                          ToValidUtf8(text, 40), ExactDuration(kMaxDuration)));
}

std::string ShortDuration(std::chrono::milliseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

std::string TimeLeft(std::chrono::milliseconds duration) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(duration).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  const auto minutes = std::chrono::ceil<std::chrono::minutes>(duration).count();
  if (minutes < 120) return fmt::format("{} min", minutes);
  const auto two = [](std::int64_t whole, std::string_view unit, std::int64_t rest,
                      std::string_view of) {
    return rest == 0 ? fmt::format("{} {}", whole, unit)
                     : fmt::format("{} {} {} {}", whole, unit, rest, of);
  };
  if (minutes < 48 * 60) return two(minutes / 60, "h", minutes % 60, "min");
  const auto hours = std::chrono::ceil<std::chrono::hours>(duration).count();
  return two(hours / 24, "d", hours % 24, "h");
}

std::string ExactDuration(std::chrono::milliseconds duration) {
  std::int64_t left_ms = duration.count();
  if (left_ms <= 0) return "0s";
  std::string text;
  for (const Unit& unit : kUnits) {
    if (unit.name == "d" && left_ms % unit.ms != 0) continue;  // "36h", not "1d12h"
    if (left_ms / unit.ms > 0) text += fmt::format("{}{}", left_ms / unit.ms, unit.name);
    left_ms %= unit.ms;
  }
  return text;
}

}  // namespace fallow
