#include "agent/daemon/policy/settings_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "agent/daemon/policy/setting_value.h"
#include "agent/daemon/policy/toml_text.h"
#include "base/utf8.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxErrorLineBytes = 400;

struct Trouble {
  TextPlace place;
  std::string what;
};

std::string Lines(std::string_view file_name, std::vector<Trouble> troubles) {
  std::ranges::stable_sort(troubles, {}, [](const Trouble& trouble) {
    return std::pair(trouble.place.line, trouble.place.column);
  });
  std::string text;
  for (std::size_t i = 0; i < troubles.size() && i < kMaxSettingsErrors; ++i) {
    const auto& [place, what] = troubles[i];
    if (i > 0) text += '\n';
    text += ToValidUtf8(fmt::format("{}:{}:{}: {}", file_name, place.line, place.column, what),
                        kMaxErrorLineBytes);
  }
  if (troubles.size() > kMaxSettingsErrors)
    text +=
        fmt::format("\n{}: {} more like these", file_name, troubles.size() - kMaxSettingsErrors);
  return text;
}

std::string UnknownSection(std::string_view name) {
  const std::string_view nearest = NearestSettingSection(name);
  return fmt::format("there is no section {}{}", ToValidUtf8(name, 64),
                     nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
}

std::optional<std::string> WhatIsWrong(const TomlEntry& entry, Settings& settings) {
  const std::string_view key = entry.key;
  const auto dot = key.find('.');
  if (dot == key.npos && IsSettingSection(key)) {
    if (entry.is_section) return std::nullopt;
    return fmt::format("{} is a section: write [{}] and its settings below it", key, key);
  }
  if (dot == key.npos && entry.is_section) return UnknownSection(key);
  if (dot != key.npos && !IsSettingSection(key.substr(0, dot)))
    return std::nullopt;  // said once, above
  const SettingSpec* spec = FindSetting(key);
  if (spec == nullptr) return UnknownSetting(key);
  if (auto status = StoreRaw(*spec, entry.value, settings); !status) return status.error().message;
  return std::nullopt;
}

}  // namespace

Result<Settings> ParseSettings(std::string_view text, std::string_view file_name) {
  if (text.size() > kMaxSettingsFileBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the file has {} bytes; settings take at most {}", file_name,
                            text.size(), kMaxSettingsFileBytes));
  }
  const auto entries = ReadToml(text);
  if (!entries) {
    return Fail(ErrorCode::kInvalidArgument,
                Lines(file_name, {{entries.error().place, entries.error().what}}));
  }
  Settings settings;
  std::vector<Trouble> troubles;
  for (const TomlEntry& entry : *entries) {
    if (auto what = WhatIsWrong(entry, settings))
      troubles.push_back({entry.key_place, *std::move(what)});
  }
  if (!troubles.empty())
    return Fail(ErrorCode::kInvalidArgument, Lines(file_name, std::move(troubles)));
  return settings;
}

std::vector<std::string> KeysSet(std::string_view text) {
  std::vector<std::string> keys;
  if (text.size() > kMaxSettingsFileBytes) return keys;
  const auto entries = ReadToml(text);
  if (!entries) return keys;
  for (const TomlEntry& entry : *entries)
    if (FindSetting(entry.key) != nullptr) keys.push_back(entry.key);
  return keys;
}

std::string DefaultSettingsText() {
  std::string text =
      "# Settings of fallow-agent. A line that begins with # is not in force; those below show "
      "the\n"
      "# defaults. The agent follows a change of this file at once, and\n"
      "# `fallow-agent limits set KEY VALUE` changes it for you.\n";
  std::string_view section;
  for (const SettingSpec& spec : SettingSpecs()) {
    const auto dot = spec.key.find('.');
    if (spec.key.substr(0, dot) != section) {
      section = spec.key.substr(0, dot);
      text += fmt::format("\n[{}]\n", section);
    }
    text += fmt::format("# {}: {}\n", spec.meaning, SettingRange(spec));
    text += fmt::format("#{} = {}\n", spec.key.substr(dot + 1), SettingDefault(spec));
  }
  return text;
}

std::string SettingsText(const Settings& settings) {
  std::string text;
  std::string_view section;
  for (const SettingSpec& spec : SettingSpecs()) {
    const std::string value = SettingValue(spec, settings);
    if (value == SettingDefault(spec)) continue;
    const auto dot = spec.key.find('.');
    if (spec.key.substr(0, dot) != section) {
      section = spec.key.substr(0, dot);
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("{} = {}\n", spec.key.substr(dot + 1), value);
  }
  return text;
}

Result<std::string> ChangeSetting(std::string_view file_text, std::string_view file_name,
                                  std::string_view key, std::string_view value) {
  FALLOW_ASSIGN_OR_RETURN(Settings wanted, ParseSettings(file_text, file_name));
  FALLOW_RETURN_IF_ERROR(SetSetting(wanted, key, value));
  const SettingSpec& spec = *FindSetting(key);
  const std::string in_file = SettingValue(spec, wanted);
  const bool remove = value == "unset" || in_file == "unset";
  std::string changed =
      remove ? WithoutTomlValue(file_text, key) : WithTomlValue(file_text, key, in_file);
  // Whatever way the file is written: what it gives afterwards is what counts.
  const auto result = ParseSettings(changed, file_name);
  const bool is_set = std::ranges::count(KeysSet(changed), key) > 0;
  if (!result || *result != wanted || is_set == remove) {
    if (changed.size() > kMaxSettingsFileBytes) return std::unexpected(result.error());
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: {} is written there in a way that only its writer can change; "
                            "edit the file by hand",
                            file_name, key));
  }
  return changed;
}

}  // namespace fallow
