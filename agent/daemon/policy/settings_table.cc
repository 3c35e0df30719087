#include "agent/daemon/policy/settings_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/daemon/policy/setting_specs.h"
#include "agent/daemon/policy/settings_file.h"

namespace fallow {
namespace {

using Json = nlohmann::ordered_json;

// A value as it stands in the file is JSON too.
Json ValueJson(const std::string& value) {
  return value == "unset" ? Json(nullptr) : Json::parse(value);
}

}  // namespace

std::vector<SettingRow> SettingsTable(const Settings& settings, std::string_view file_text) {
  const std::vector<std::string> in_file = KeysSet(file_text);
  std::vector<SettingRow> rows;
  for (const SettingSpec& spec : SettingSpecs()) {
    rows.push_back({.key = std::string(spec.key),
                    .value = SettingValue(spec, settings),
                    .default_value = SettingDefault(spec),
                    .unit = std::string(spec.unit),
                    .range = SettingRange(spec),
                    .meaning = std::string(spec.meaning),
                    .in_file = std::ranges::find(in_file, spec.key) != in_file.end()});
  }
  return rows;
}

std::string SettingsTableText(const std::vector<SettingRow>& rows) {
  std::size_t key_width = 0, value_width = 0;
  constexpr std::size_t kMaxValueWidth = 24;  // longer lists push their meaning aside
  for (const SettingRow& row : rows) {
    key_width = std::max(key_width, row.key.size());
    value_width = std::max(value_width, std::min(kMaxValueWidth, row.value.size()));
  }
  std::string text;
  for (const SettingRow& row : rows) {
    text += fmt::format("{} {:<{}}  {:<{}}  {} [{}]\n", row.in_file ? '*' : ' ', row.key, key_width,
                        row.value, value_width, row.meaning, row.default_value);
  }
  return text + "\n* set in the file; [defaults]\n";
}

std::string SettingsTableJson(const std::vector<SettingRow>& rows) {
  Json json = Json::array();
  for (const SettingRow& row : rows) {
    json.push_back({{"key", row.key},
                    {"value", ValueJson(row.value)},
                    {"default", ValueJson(row.default_value)},
                    {"unit", row.unit},
                    {"range", row.range},
                    {"meaning", row.meaning},
                    {"in_file", row.in_file}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string SettingsTableMarkdown() {
  std::string text = "| setting | default | may be | meaning |\n|---|---|---|---|\n";
  for (const SettingRow& row : SettingsTable({}, "")) {
    text += fmt::format("| `{}` | `{}` | {} | {} |\n", row.key, row.default_value, row.range,
                        row.meaning);
  }
  return text;
}

}  // namespace fallow
