#include "platform/paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::ReadFile;
using fallow::testing::TemporaryFolder;

unsigned ModeOf(const std::string& path) {
  struct stat facts {};
  EXPECT_EQ(stat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 07777u;
}

// Sets or unsets an environment variable until the end of the scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value != nullptr ? setenv(name, value, 1) : unsetenv(name);
  }
  ~ScopedVariable() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(Paths, FollowTheXdgVariables) {
  const ScopedVariable config("XDG_CONFIG_HOME", "/x/config");
  const ScopedVariable state("XDG_STATE_HOME", "/x/state");
  const ScopedVariable cache("XDG_CACHE_HOME", "/x/cache");
  const ScopedVariable runtime("XDG_RUNTIME_DIR", "/run/user/7");
  EXPECT_EQ(ConfigDirectory(), "/x/config/fallow");
  EXPECT_EQ(StateDirectory(), "/x/state/fallow");
  EXPECT_EQ(CacheDirectory(), "/x/cache/fallow");
  EXPECT_EQ(RuntimeDirectory(), "/run/user/7/fallow");
}

TEST(Paths, FallBackToTheHomeDirectory) {
  const ScopedVariable home("HOME", "/home/anna");
  const ScopedVariable config("XDG_CONFIG_HOME", nullptr);
  const ScopedVariable state("XDG_STATE_HOME", "relative/is/ignored");
  const ScopedVariable cache("XDG_CACHE_HOME", "");
  const ScopedVariable runtime("XDG_RUNTIME_DIR", nullptr);
  EXPECT_EQ(ConfigDirectory(), "/home/anna/.config/fallow");
  EXPECT_EQ(StateDirectory(), "/home/anna/.local/state/fallow");
  EXPECT_EQ(CacheDirectory(), "/home/anna/.cache/fallow");
  EXPECT_EQ(RuntimeDirectory(), "/home/anna/.local/state/fallow");
}

TEST(Paths, ProgramDirectoryHoldsThisTest) {
  EXPECT_TRUE(std::filesystem::exists(ProgramDirectory() + "/platform_test"));
}

TEST(Paths, MadeDirectoriesArePrivate) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a/b";
  ASSERT_TRUE(MakePrivateDirectory(path).has_value());
  EXPECT_EQ(ModeOf(folder.path() + "/a"), 0700u);
  EXPECT_EQ(ModeOf(path), 0700u);
  EXPECT_TRUE(MakePrivateDirectory(path).has_value()) << "a second time is no error";
}

TEST(Paths, DirectoryThatIsAFileIsRefused) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/file", "x").has_value());
  const auto made = MakePrivateDirectory(folder.path() + "/file");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::kAlreadyExists);
  EXPECT_FALSE(MakePrivateDirectory(folder.path() + "/file/below").has_value());
}

TEST(Paths, AtomicWriteReplacesAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/sub/state.json";
  ASSERT_TRUE(WriteFileAtomically(path, "old, and longer").has_value());
  ASSERT_TRUE(WriteFileAtomically(path, "new").has_value());
  EXPECT_EQ(ReadFile(path), "new");
  EXPECT_EQ(ModeOf(path), 0600u);
  int files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(folder.path() + "/sub")) {
    ++files;
  }
  EXPECT_EQ(files, 1);
}

TEST(Paths, FailedAtomicWriteKeepsTheOldState) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/taken";
  ASSERT_TRUE(MakePrivateDirectory(path + "/by/a/directory").has_value());
  const auto written = WriteFileAtomically(path, "x");
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().message.find(path), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_directory(path + "/by/a/directory"));
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++entries;
  }
  EXPECT_EQ(entries, 1) << "the temporary file must be gone";
}

TEST(Paths, AChangedFileKeepsItsRightsAndTheLinkToIt) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/dotfiles/agent.toml";
  const std::string link = folder.path() + "/agent.toml";
  ASSERT_TRUE(ChangeFileAtomically(file, "old").has_value());
  EXPECT_EQ(ModeOf(file) & 0077u, ModeOf(file) & 0044u)
      << "for everybody to read, as far as the umask";
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  std::filesystem::create_symlink("dotfiles/agent.toml", link);
  ASSERT_TRUE(ChangeFileAtomically(link, "new").has_value());
  EXPECT_EQ(ReadFile(file), "new");
  EXPECT_EQ(ModeOf(file), 0640u);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST(Paths, SmallFileIsReadWholeOrRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, std::string(1000, 'x')).has_value());
  EXPECT_EQ(ReadSmallFile(path, 1000).value().size(), 1000u);
  const auto refused = ReadSmallFile(path, 999);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(ReadSmallFile(folder.path() + "/none").error().code, ErrorCode::kNotFound);
}

TEST(Paths, ANewFileOfAPersonIsReadableWhateverTheMask) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/new/agent.toml";
  const mode_t before = umask(077);
  ASSERT_TRUE(ChangeFileAtomically(path, "x").has_value());
  umask(before);
  EXPECT_EQ(ModeOf(path), 0644u);
  EXPECT_EQ(ModeOf(folder.path() + "/new"), geteuid() == 0 ? 0755u : 0700u);
}

TEST(Paths, OthersThanRootDecideNotWhereRootsFilesAre) {
  EXPECT_EQ(PathInRootsHands("/etc/none/agent.toml"), "/etc/none/agent.toml");
  EXPECT_EQ(PathInRootsHands("/etc/../etc/hostname"), "/etc/hostname");
  const TemporaryFolder folder;  // in one that everybody may write to
  const auto refused = PathInRootsHands(folder.path() + "/agent.toml");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
  std::filesystem::create_symlink("/etc/hostname", folder.path() + "/link");
  EXPECT_EQ(PathInRootsHands(folder.path() + "/link"), "/etc/hostname") << "where it leads counts";
}

}  // namespace
}  // namespace fallow
