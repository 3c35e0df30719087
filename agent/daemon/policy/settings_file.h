// agent.toml: text in, checked settings out; and edits that keep the owner's comments and order.
//
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/settings.h"
#include "base/result.h"

namespace fallow {

inline constexpr std::size_t kMaxSettingsFileBytes = 64 * 1024;
inline constexpr std::size_t kMaxSettingsErrors = 10;  // of one reading

// kInvalidArgument: a line for each thing wrong, "agent.toml:7:1: load.foreign_cpu_percent is 250;
// it may be 1 to 100 percent". A setting with an error leaves no half-read settings behind: there
// are none.
Result<Settings> ParseSettings(std::string_view text, std::string_view file_name);

// The keys a file sets; empty if it cannot be read.
std::vector<std::string> KeysSet(std::string_view text);

// A new owner's file: every setting with its meaning, commented out at its default.
std::string DefaultSettingsText();

// The settings as the shortest file that gives them: what differs from the defaults. Parses back
// to equal settings, and equal settings give equal text.
std::string SettingsText(const Settings& settings);

// The file with one value changed, its comments and order kept. Section and key are added where
// they are missing; the value `unset` takes the key out. `value` as for SetSetting. Fails, changing
// nothing, if the file cannot be read before or after.
Result<std::string> ChangeSetting(std::string_view file_text, std::string_view file_name,
                                  std::string_view key, std::string_view value);

}  // namespace fallow
