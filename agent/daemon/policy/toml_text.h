// TOML files as flat lists of keys and values, and edits of their text.
//
// The one place that knows the TOML library. Pure functions.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/setting_value.h"
#include "agent/daemon/policy/toml_ascii.h"

namespace fallow {

struct TomlEntry {
  std::string key;          // "presence.idle_after"; of a section its name alone
  bool is_section = false;  // a table; its entries follow
  SettingRaw value;         // not of a section
  TextPlace key_place;
};

struct TomlError {
  TextPlace place;
  std::string what;
};

// Tables inside sections are entries that are no sections: settings have no third floor.
std::expected<std::vector<TomlEntry>, TomlError> ReadToml(std::string_view text);

// The text with `key` (section.name) at `value`, which is TOML; everything else stays. Where the
// key is new, it goes below its commented-out self, else to the end of its section, else into a
// new section at the end. The caller checks the result: some ways to write a file cannot be edited.
std::string WithTomlValue(std::string_view text, std::string_view key, std::string_view value);
// The text without the lines that set `key`.
std::string WithoutTomlValue(std::string_view text, std::string_view key);

}  // namespace fallow
