#include "agent/daemon/settings_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/program.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct Fixture {
  fallow::testing::TemporaryFolder folder;
  std::string path = folder.path() + "/agent.toml";

  void Write(const std::string& text) { std::ofstream(path) << text; }
  LoadedSettings Load(const SettingOverrides& overrides = {}, const Settings& last = {}) {
    return LoadSettings(path, overrides, last);
  }
};

TEST(LoadSettings, WithoutAFileEverythingIsAtItsDefault) {
  Fixture f;
  const LoadedSettings loaded = f.Load();
  EXPECT_EQ(loaded.settings, Settings{});
  EXPECT_EQ(loaded.trouble, "");
}

TEST(LoadSettings, TheCommandLineOverridesTheFile) {
  Fixture f;
  f.Write("[presence]\nidle_after = \"5m\"\n[quiet]\nlevel = 30\n");
  const LoadedSettings loaded = f.Load({{"presence.idle_after", "10s"}});
  EXPECT_EQ(loaded.settings.presence.idle_after, 10s);
  EXPECT_EQ(loaded.settings.quiet.level_percent, 30);
}

TEST(LoadSettings, ATypoIsNamedWithItsLineAndLeavesTheLastSettingsInForce) {
  Fixture f;
  f.Write("[presence]\nidel_after = \"5m\"\n");
  Settings last;
  last.quiet.level_percent = 30;
  const LoadedSettings loaded = f.Load({}, last);
  EXPECT_EQ(loaded.settings, last);
  EXPECT_THAT(loaded.trouble, HasSubstr(f.path + ":2:"));
  EXPECT_THAT(loaded.trouble, HasSubstr("idle_after"));
}

TEST(LoadSettings, AFileThatCannotBeReadIsATrouble) {
  Fixture f;
  f.path = f.folder.path();  // a folder
  EXPECT_NE(f.Load().trouble, "");
}

TEST(LoadSettings, AFileLargerThanSettingsMayBeIsATrouble) {
  Fixture f;
  f.Write(std::string(100'000, '#'));
  EXPECT_NE(f.Load().trouble, "");
}

}  // namespace
}  // namespace fallow
