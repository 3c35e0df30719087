// A setting's value on its way between a file, the command line and the settings.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/daemon/policy/setting_specs.h"
#include "base/result.h"

namespace fallow {

struct OtherValue {
  std::string what;  // "a date", "a table"
};
using SettingRaw =
    std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, OtherValue>;

// Checks the value and puts it into its field. kInvalidArgument: "presence.idle_after is 180; it
// must be a duration …".
Status StoreRaw(const SettingSpec& spec, const SettingRaw& raw, Settings& settings);
// Likewise from words; `unset` gives the default.
Status StoreWords(const SettingSpec& spec, std::string_view words, Settings& settings);
// The field as it stands in a file.
std::string FormatField(const SettingSpec& spec, Settings& settings);
std::string QuotedToml(std::string_view text);
// "there is no setting presence.idle_afer; did you mean presence.idle_after?"
std::string UnknownSetting(std::string_view key);

}  // namespace fallow
