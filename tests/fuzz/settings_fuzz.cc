// Any bytes as a settings file: it is read or refused with its place, and what is read can be
// written, changed and read again.
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/daemon/policy/setting_specs.h"
#include "agent/daemon/policy/settings_file.h"
#include "agent/daemon/policy/settings_table.h"
#include "base/check.h"
#include "base/utf8.h"

namespace fallow {
namespace {

void CheckChange(std::string_view text, const Settings& settings, std::uint8_t choice) {
  const auto specs = SettingSpecs();
  const SettingSpec& spec = specs[choice % specs.size()];
  const std::string value = choice < 128 ? SettingDefault(spec) : "unset";
  const auto changed = ChangeSetting(text, "f", spec.key, value);
  if (!changed) return;  // written in a way that cannot be edited
  const auto again = ParseSettings(*changed, "f");
  FALLOW_CHECK(again.has_value());
  // Nothing but the one setting moved.
  for (const SettingSpec& other : specs) {
    if (other.key == spec.key)
      FALLOW_CHECK(SettingValue(other, *again) == SettingDefault(other));
    else
      FALLOW_CHECK(SettingValue(other, *again) == SettingValue(other, settings));
  }
}

}  // namespace
}  // namespace fallow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  // The first byte says which setting is changed, and how.
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto settings = ParseSettings(text, "f");
  if (!settings) {
    FALLOW_CHECK(settings.error().message.starts_with("f:"));
    FALLOW_CHECK(IsValidUtf8(settings.error().message));
    return 0;
  }
  FALLOW_CHECK(ParseSettings(SettingsText(*settings), "f") == *settings);
  FALLOW_CHECK(SettingsTableJson(SettingsTable(*settings, text)).size() > 2);
  CheckChange(text, *settings, data[0]);
  return 0;
}
