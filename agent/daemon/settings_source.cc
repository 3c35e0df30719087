#include "agent/daemon/settings_source.h"

#include <filesystem>

#include "agent/daemon/policy/setting_specs.h"
#include "agent/daemon/policy/settings_file.h"
#include "base/check.h"
#include "base/log.h"
#include "platform/paths.h"

namespace fallow {

LoadedSettings LoadSettings(const std::string& path, const SettingOverrides& overrides,
                            const Settings& last) {
  const auto text = ReadSmallFile(path, kMaxSettingsFileBytes);
  if (!text && text.error().code != ErrorCode::kNotFound) return {last, text.error().message};
  auto settings = ParseSettings(text.value_or(""), path);
  if (!settings) return {last, settings.error().message};
  for (const auto& [key, value] : overrides)
    FALLOW_CHECK(SetSetting(*settings, key, value).has_value());
  return {*std::move(settings), ""};
}

SettingsSource::SettingsSource(Loop& loop, std::string path, SettingOverrides overrides,
                               std::function<void()> on_change)
    : path_(std::move(path)), overrides_(std::move(overrides)), on_change_(std::move(on_change)) {
  Settings defaults;
  for (const auto& [key, value] : overrides_)
    FALLOW_CHECK(SetSetting(defaults, key, value).has_value());
  // A folder of its own: in the one above, where it would be awaited, others' changes wake us.
  (void)MakePrivateDirectory(std::filesystem::absolute(path_).parent_path().string());
  auto watch = WatchFile(loop, path_, [this] { Reload(); });
  if (watch) {
    watch_ = *std::move(watch);
  } else {
    LOG_WARN("agent: changes of {} will not be seen: {}", path_, watch.error().message);
  }
  // Once it is watched: no change falls between.
  now_ = LoadSettings(path_, overrides_, defaults);
  if (!now_.trouble.empty()) LOG_WARN("agent: settings: {}", now_.trouble);
}

void SettingsSource::Reload() {
  LoadedSettings loaded = LoadSettings(path_, overrides_, now_.settings);
  if (loaded.settings == now_.settings && loaded.trouble == now_.trouble) return;
  now_ = std::move(loaded);
  if (now_.trouble.empty()) {
    LOG_INFO("agent: settings read anew path={}", path_);
  } else {
    LOG_WARN("agent: settings: {}", now_.trouble);
  }
  on_change_();
}

}  // namespace fallow
