#include "platform/file_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;

// Longer than changes take to be told.
constexpr milliseconds kQuiet{400};

struct Fixture {
  TemporaryFolder folder;
  std::string path = folder.path() + "/agent.toml";
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  std::unique_ptr<FileWatch> watch;
  int changes = 0;

  void Watch() {
    auto result = WatchFile(*loop, path, [this] { ++changes; });
    ASSERT_TRUE(result.has_value()) << result.error().message;
    watch = std::move(*result);
  }
  void Write(const std::string& to, std::string_view text) { std::ofstream(to) << text; }
  bool Told(int count) {
    return RunUntil(*loop, [&] { return changes >= count; });
  }
};

TEST(FileWatch, SeesAFileMadeEditedReplacedAndRemoved) {
  Fixture f;
  f.Watch();
  f.Write(f.path, "made");
  EXPECT_TRUE(f.Told(1)) << "creation";
  f.Write(f.path, "edited in place");
  EXPECT_TRUE(f.Told(2)) << "an edit in place";
  f.Write(f.path + ".new", "replaced");
  std::filesystem::rename(f.path + ".new", f.path);
  EXPECT_TRUE(f.Told(3)) << "replacement by rename";
  f.Write(f.path, "the new file, edited");
  EXPECT_TRUE(f.Told(4)) << "an edit of what replaced it";
  std::filesystem::remove(f.path);
  EXPECT_TRUE(f.Told(5)) << "removal";
}

// A file that could not be read may be readable now.
TEST(FileWatch, SeesThatRightsChange) {
  Fixture f;
  f.Write(f.path, "made");
  std::filesystem::permissions(f.path, std::filesystem::perms(0000));
  f.Watch();
  std::filesystem::permissions(f.path, std::filesystem::perms(0644));
  EXPECT_TRUE(f.Told(1));
}

TEST(FileWatch, TellsSeveralQuickChangesOnce) {
  Fixture f;
  f.Watch();
  for (int i = 0; i < 20; ++i) f.Write(f.path, "again and again");
  EXPECT_TRUE(f.Told(1));
  RunFor(*f.loop, kQuiet);
  EXPECT_EQ(f.changes, 1);
}

TEST(FileWatch, IsNotConcernedWithItsNeighbours) {
  Fixture f;
  f.Write(f.path, "ours");
  f.Watch();
  f.Write(f.folder.path() + "/other.toml", "a neighbour");
  f.Write(f.path + ".swp", "an editor's");
  RunFor(*f.loop, kQuiet);
  EXPECT_EQ(f.changes, 0);
}

// Settings are often kept elsewhere, under version control, and linked into place.
TEST(FileWatch, SeesChangesBehindALink) {
  Fixture f;
  const TemporaryFolder elsewhere;
  const std::string target = elsewhere.path() + "/real.toml";
  f.Write(target, "first");
  std::filesystem::create_symlink(target, f.path);
  f.Watch();
  f.Write(target, "second");
  EXPECT_TRUE(f.Told(1)) << "an edit in place";
  f.Write(target + ".new", "third");
  std::filesystem::rename(target + ".new", target);
  EXPECT_TRUE(f.Told(2)) << "replacement";
  f.Write(target, "fourth");
  EXPECT_TRUE(f.Told(3)) << "an edit of what replaced it";
}

TEST(FileWatch, MayBeEndedByWhatItCalls) {
  Fixture f;
  auto result = WatchFile(*f.loop, f.path, [&f] {
    ++f.changes;
    f.watch = nullptr;
  });
  ASSERT_TRUE(result.has_value());
  f.watch = std::move(*result);
  f.Write(f.path, "made");
  EXPECT_TRUE(f.Told(1));
  EXPECT_EQ(f.watch, nullptr);
}

TEST(FileWatch, AMissingFolderIsNamed) {
  Fixture f;
  const auto watch = WatchFile(*f.loop, f.folder.path() + "/none/agent.toml", [] {});
  ASSERT_FALSE(watch.has_value());
  EXPECT_EQ(watch.error().code, ErrorCode::kNotFound);
  EXPECT_NE(watch.error().message.find(f.folder.path() + "/none"), std::string::npos);
}

}  // namespace
}  // namespace fallow
