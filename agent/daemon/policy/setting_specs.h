// The table of settings: everything that is to be said of each, once.
//
// Constant after start; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/daemon/policy/settings.h"
#include "base/result.h"

namespace fallow {

// Limits on lists and texts in a settings file; they keep the settings' text below
// kMaxSettingsTextBytes, which the explain log relies on.
inline constexpr std::size_t kMaxPrograms = 64;
inline constexpr std::size_t kMaxProgramNameBytes = 64;
inline constexpr std::size_t kMaxScheduleSpans = 32;
inline constexpr std::size_t kMaxSettingTextBytes = 128;
inline constexpr std::size_t kMaxSettingsTextBytes = 12 * 1024;

// Where a setting's value is kept; its kind is how it is read and written.
template <class T>
using FieldOf = T& (*)(Settings&);
using SettingField =
    std::variant<FieldOf<bool>, FieldOf<int>, FieldOf<std::uint32_t>, FieldOf<std::uint64_t>,
                 FieldOf<double>, FieldOf<std::optional<double>>,
                 FieldOf<std::chrono::milliseconds>, FieldOf<std::string>,
                 FieldOf<std::vector<std::string>>, FieldOf<std::vector<Settings::Schedule::Span>>>;

struct SettingSpec {
  std::string_view key;     // "presence.idle_after": section and name
  std::string_view unit;    // "percent", "MiB", "°C"; empty where it has none
  double min = 0, max = 0;  // of numbers; of durations in milliseconds; of lists, the entries
  // Words that may stand for a value: all there are for a text, names of numbers for quiet.level.
  std::vector<std::string_view> words;
  std::string_view meaning;  // one line
  SettingField field;
};

std::span<const SettingSpec> SettingSpecs();
const SettingSpec* FindSetting(std::string_view key);  // none: nullptr
// The key most like `key`, to ask "did you mean"; empty if none is near.
std::string_view NearestSetting(std::string_view key);
bool IsSettingSection(std::string_view name);
std::string_view NearestSettingSection(std::string_view name);

// "duration", "whole number", "yes or no", "list of texts", …
std::string_view SettingTypeName(const SettingSpec& spec);
// "1s to 24h", "0 to 100", "auto, vulkan or cpu", "up to 64 names".
std::string SettingRange(const SettingSpec& spec);
// As it stands in the file: `"3m"`, `25`, `["steam"]`. What is not set: `unset`.
std::string SettingValue(const SettingSpec& spec, const Settings& settings);
std::string SettingDefault(const SettingSpec& spec);

// Sets one from words of the command line: `3m`, `25`, `yes`, `steam,blender`, `"a text"`, `unset`
// for the default. kInvalidArgument names key, what was found and the range.
Status SetSetting(Settings& settings, std::string_view key, std::string_view value);

}  // namespace fallow
