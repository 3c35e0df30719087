#include "agent/daemon/policy/setting_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/schedule.h"
#include "base/overloaded.h"
#include "base/utf8.h"

namespace fallow {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Names = std::vector<std::string>;
using Spans = std::vector<Settings::Schedule::Span>;

std::string Shown(const SettingRaw& raw) {
  return std::visit(
      Overloaded{
          [](bool value) { return fmt::format("{}", value); },
          [](std::int64_t value) { return fmt::format("{}", value); },
          [](double value) { return fmt::format("{:#}", value); },  // 1.0, not 1
          [](const std::string& value) { return QuotedToml(ToValidUtf8(value, 40)); },
          [](const Names& value) { return fmt::format("a list of {}", value.size()); },
          [](const OtherValue& value) { return value.what; },
      },
      raw);
}

std::unexpected<Error> Refuse(const SettingSpec& spec, const SettingRaw& raw) {
  const std::string_view type = SettingTypeName(spec);
  const std::string range = SettingRange(spec);
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is {}; it must be {}{}{}", spec.key, Shown(raw), type,
                          range == type ? "" : ": ", range == type ? "" : range));
}

std::optional<double> NumberOf(const SettingRaw& raw) {
  if (const auto* whole = std::get_if<std::int64_t>(&raw)) return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&raw); number && std::isfinite(*number))
    return *number;
  return std::nullopt;
}

bool IsInRange(const SettingSpec& spec, double value) {
  return value >= spec.min && value <= spec.max;
}

bool IsPrintable(std::string_view text, std::size_t max_bytes) {
  return text.size() <= max_bytes && IsValidUtf8(text) &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// One overload a kind of field: the value if it is acceptable.
bool Read(const SettingSpec&, const SettingRaw& raw, bool& into) {
  const bool* value = std::get_if<bool>(&raw);
  if (value != nullptr) into = *value;
  return value != nullptr;
}

template <class Whole>
requires std::is_integral_v<Whole>
bool Read(const SettingSpec& spec, const SettingRaw& raw, Whole& into) {
  const auto* value = std::get_if<std::int64_t>(&raw);
  if (value == nullptr || !IsInRange(spec, static_cast<double>(*value))) return false;
  into = static_cast<Whole>(*value);
  return true;
}

// quiet.level: the words are evenly useful names, not evenly spaced; see TargetsOf.
constexpr std::array<int, 4> kLevelsOfWords = {0, 30, 70, 100};
bool Read(const SettingSpec& spec, const SettingRaw& raw, int& into) {
  if (const auto* word = std::get_if<std::string>(&raw)) {
    const auto at = std::ranges::find(spec.words, *word);
    if (at == spec.words.end()) return false;
    into = kLevelsOfWords[static_cast<std::size_t>(at - spec.words.begin())];
    return true;
  }
  std::int64_t whole = 0;
  if (!Read<std::int64_t>(spec, raw, whole)) return false;
  into = static_cast<int>(whole);
  return true;
}

bool Read(const SettingSpec& spec, const SettingRaw& raw, double& into) {
  const auto value = NumberOf(raw);
  if (!value || !IsInRange(spec, *value)) return false;
  into = *value;
  return true;
}

bool Read(const SettingSpec& spec, const SettingRaw& raw, std::optional<double>& into) {
  double value = 0;
  if (!Read(spec, raw, value)) return false;
  into = value;
  return true;
}

bool Read(const SettingSpec& spec, const SettingRaw& raw, Milliseconds& into) {
  const auto* text = std::get_if<std::string>(&raw);
  if (text == nullptr) return false;
  const auto duration = ParseDuration(*text);
  if (!duration || !IsInRange(spec, static_cast<double>(duration->count()))) return false;
  into = *duration;
  return true;
}

bool Read(const SettingSpec& spec, const SettingRaw& raw, std::string& into) {
  const auto* text = std::get_if<std::string>(&raw);
  if (text == nullptr || !IsPrintable(*text, kMaxSettingTextBytes)) return false;
  if (!spec.words.empty() && std::ranges::find(spec.words, *text) == spec.words.end()) return false;
  into = *text;
  return true;
}

bool IsProgramName(const std::string& name) {
  return !name.empty() && IsPrintable(name, kMaxProgramNameBytes) &&
         name.find_first_of("/\"\\") == name.npos;
}

bool Read(const SettingSpec& spec, const SettingRaw& raw, Names& into) {
  const auto* names = std::get_if<Names>(&raw);
  if (names == nullptr || !IsInRange(spec, static_cast<double>(names->size())) ||
      !std::ranges::all_of(*names, IsProgramName)) {
    return false;
  }
  into = *names;
  return true;
}

bool Read(const SettingSpec& spec, const SettingRaw& raw, Spans& into) {
  const auto* texts = std::get_if<Names>(&raw);
  if (texts == nullptr || !IsInRange(spec, static_cast<double>(texts->size()))) return false;
  Spans spans;
  for (const std::string& text : *texts) {
    const auto span = ParseScheduleSpan(text);
    if (!span) return false;
    spans.push_back(*span);
  }
  into = std::move(spans);
  return true;
}

// The entry of a list that is the trouble, to name it rather than the list.
std::string Culprit(const SettingSpec& spec, const SettingRaw& raw) {
  const auto* texts = std::get_if<Names>(&raw);
  if (texts == nullptr) return "";
  for (const std::string& text : *texts) {
    if (std::holds_alternative<FieldOf<Spans>>(spec.field)) {
      if (const auto span = ParseScheduleSpan(text); !span) return span.error().message;
    } else if (!IsProgramName(text)) {
      return fmt::format(
          "{} is no program's name: up to {} bytes of plain text, without a folder or quotes",
          QuotedToml(ToValidUtf8(text, 40)), kMaxProgramNameBytes);
    }
  }
  return "";
}

std::string Format(bool value) {
  return value ? "true" : "false";
}
template <class Number>
requires std::is_arithmetic_v<Number> std::string Format(Number value) {
  return fmt::format("{}", value);
}
std::string Format(const std::optional<double>& value) {
  return value ? Format(*value) : "unset";
}
std::string Format(Milliseconds value) {
  return QuotedToml(ExactDuration(value));
}
std::string Format(const std::string& value) {
  return QuotedToml(value);
}
std::string Format(const Names& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + QuotedToml(value);
  return "[" + text + "]";
}
std::string Format(const Spans& spans) {
  Names texts;
  for (const auto& span : spans) texts.push_back(FormatScheduleSpan(span));
  return Format(texts);
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string_view Unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    return text.substr(1, text.size() - 2);
  return text;
}

// `steam, blender`, or as in the file: `["steam", "blender"]`. Schedule entries hold commas of
// their own (`sat,sun`), so there they are separated by `;` unless they are quoted.
Names ListOfWords(std::string_view words, bool entries_hold_commas) {
  if (words.size() >= 2 && words.front() == '[' && words.back() == ']')
    words = words.substr(1, words.size() - 2);
  Names names;
  std::string entry;
  bool quoted = false, was_quoted = false;
  const bool split_at_commas = !entries_hold_commas || words.contains('"');
  const auto finish = [&] {
    const std::string_view trimmed = Trimmed(entry);
    if (!trimmed.empty() || was_quoted) names.emplace_back(trimmed);
    entry.clear();
    was_quoted = false;
  };
  for (const char c : words) {
    if (c == '"') {
      quoted = !quoted;
      was_quoted = true;
    } else if (!quoted && (c == ';' || (c == ',' && split_at_commas))) {
      finish();
    } else {
      entry += c;
    }
  }
  finish();
  return names;
}

SettingRaw RawOfWords(const SettingSpec& spec, std::string_view words) {
  if (std::holds_alternative<FieldOf<Names>>(spec.field)) return ListOfWords(words, false);
  if (std::holds_alternative<FieldOf<Spans>>(spec.field)) return ListOfWords(words, true);
  words = Unquoted(words);
  if (std::holds_alternative<FieldOf<bool>>(spec.field)) {
    if (words == "true" || words == "yes" || words == "on") return true;
    if (words == "false" || words == "no" || words == "off") return false;
    return std::string(words);
  }
  if (std::holds_alternative<FieldOf<std::string>>(spec.field) ||
      std::holds_alternative<FieldOf<Milliseconds>>(spec.field)) {
    return std::string(words);
  }
  const char* const end = words.data() + words.size();
  std::int64_t whole = 0;
  if (const auto [at, error] = std::from_chars(words.data(), end, whole);
      error == std::errc() && at == end && !words.empty()) {
    return whole;
  }
  double number = 0;
  if (const auto [at, error] = std::from_chars(words.data(), end, number);
      error == std::errc() && at == end && !words.empty()) {
    return number;
  }
  return std::string(words);
}

std::string Number(double value) {
  return fmt::format("{}", value);
}

std::string JoinedWords(const std::vector<std::string_view>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace

std::string QuotedToml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string UnknownSetting(std::string_view key) {
  const std::string_view nearest = NearestSetting(key);
  return fmt::format("there is no setting {}{}", ToValidUtf8(key, 64),
                     nearest.empty() ? "; `fallow-agent limits` lists them"
                                     : fmt::format("; did you mean {}?", nearest));
}

Status StoreRaw(const SettingSpec& spec, const SettingRaw& raw, Settings& settings) {
  const bool ok =
      std::visit([&](auto field) { return Read(spec, raw, field(settings)); }, spec.field);
  if (ok) return {};
  if (const std::string culprit = Culprit(spec, raw); !culprit.empty())
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", spec.key, culprit));
  return Refuse(spec, raw);
}

Status StoreWords(const SettingSpec& spec, std::string_view words, Settings& settings) {
  words = Trimmed(words);
  if (words == "unset") {
    Settings defaults;
    std::visit([&](auto field) { field(settings) = field(defaults); }, spec.field);
    return {};
  }
  return StoreRaw(spec, RawOfWords(spec, words), settings);
}

std::string FormatField(const SettingSpec& spec, Settings& settings) {
  return std::visit([&](auto field) { return Format(field(settings)); }, spec.field);
}

std::string_view SettingTypeName(const SettingSpec& spec) {
  return std::visit(
      Overloaded{
          [](FieldOf<bool>) { return "true or false"; },
          [](FieldOf<int>) { return "a whole number or a word"; },
          [](FieldOf<std::uint32_t>) { return "a whole number"; },
          [](FieldOf<std::uint64_t>) { return "a whole number"; },
          [](FieldOf<double>) { return "a number"; },
          [](FieldOf<std::optional<double>>) { return "a number"; },
          [](FieldOf<Milliseconds>) { return "a duration such as \"45s\", \"3m\" or \"1h30m\""; },
          [](FieldOf<std::string>) { return "a text"; },
          [](FieldOf<Names>) { return "a list of names"; },
          [](FieldOf<Spans>) { return "a list of days and hours"; },
      },
      spec.field);
}

std::string SettingRange(const SettingSpec& spec) {
  const auto numbers = [&] {
    return fmt::format("{} to {}{}{}", Number(spec.min), Number(spec.max),
                       spec.unit.empty() ? "" : " ", spec.unit);
  };
  const auto duration = [](double ms) {
    return ExactDuration(Milliseconds(static_cast<std::int64_t>(ms)));
  };
  return std::visit(
      Overloaded{
          [](FieldOf<bool>) -> std::string { return "true or false"; },
          [&](FieldOf<int>) {
            return fmt::format("{}, or {}", numbers(), JoinedWords(spec.words));
          },
          [&](FieldOf<Milliseconds>) {
            return fmt::format("{} to {}", duration(spec.min), duration(spec.max));
          },
          [&](FieldOf<std::string>) {
            return spec.words.empty() ? fmt::format("up to {} bytes", kMaxSettingTextBytes)
                                      : JoinedWords(spec.words);
          },
          [&](FieldOf<Names>) {
            return fmt::format("up to {} names of {} bytes", kMaxPrograms, kMaxProgramNameBytes);
          },
          [&](FieldOf<Spans>) { return fmt::format("up to {} entries", kMaxScheduleSpans); },
          [&](auto) { return numbers(); },
      },
      spec.field);
}

}  // namespace fallow
