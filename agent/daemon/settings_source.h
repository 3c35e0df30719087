// The owner's settings as they stand in the file now: read at the start and whenever it changes.
//
// What the command line says overrides the file. A file that cannot be followed is a trouble in
// words, and the policy then counts the machine as in use; the settings stay what they last were.
// Threading: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/policy/settings.h"
#include "base/result.h"
#include "platform/file_watch.h"
#include "platform/loop.h"

namespace fallow {

// Settings as SetSetting takes them, in the order they are made.
using SettingOverrides = std::vector<std::pair<std::string, std::string>>;

struct LoadedSettings {
  Settings settings;
  std::string trouble;  // why the file cannot be followed; empty if it can, or if there is none
};
// `last`: what stays in force if the file cannot be followed. `overrides` must be valid.
LoadedSettings LoadSettings(const std::string& path, const SettingOverrides& overrides,
                            const Settings& last);

class SettingsSource {
 public:
  // `on_change` is called after the settings or the trouble have changed. `loop` is a MainLoop and
  // outlives it. The file's folder is made if it is missing; where that cannot be, and when it is
  // removed or replaced later, the file is followed all the same. A file that cannot be watched is
  // read once, and a warning in the log.
  SettingsSource(Loop& loop, std::string path, SettingOverrides overrides,
                 std::function<void()> on_change);

  const Settings& settings() const { return now_.settings; }
  const std::string& trouble() const { return now_.trouble; }
  const std::string& path() const { return path_; }

 private:
  void Reload();

  const std::string path_;
  const SettingOverrides overrides_;
  const std::function<void()> on_change_;
  LoadedSettings now_;
  std::unique_ptr<FileWatch> watch_;
};

}  // namespace fallow
