// What `fallow-agent limits` shows: every setting with its value.
//
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/settings.h"

namespace fallow {

struct SettingRow {
  std::string key, value, default_value, unit, range, meaning;
  bool in_file = false;
};

// `file_text`: the file the settings came from; empty if there is none.
std::vector<SettingRow> SettingsTable(const Settings& settings, std::string_view file_text);
std::string SettingsTableText(const std::vector<SettingRow>& rows);
std::string SettingsTableJson(const std::vector<SettingRow>& rows);
// The table of docs/SETTINGS.md.
std::string SettingsTableMarkdown();

}  // namespace fallow
