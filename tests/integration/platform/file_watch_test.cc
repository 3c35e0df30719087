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

// Settings in a folder that goes, comes, and is a link. `seen` is what somebody knows who reads the
// file when he is told, and then alone.
struct Way : Fixture {
  std::string settings = folder.path() + "/settings";
  std::string seen = "not told";

  Way() { path = settings + "/agent.toml"; }
  void Follow() {
    auto result = WatchFile(*loop, path, [this] {
      ++changes;
      seen = fallow::testing::ReadFile(path);
    });
    ASSERT_TRUE(result.has_value()) << result.error().message;
    watch = std::move(*result);
  }
  void Make(const std::string& in, std::string_view text) {
    std::filesystem::create_directories(in);
    Write(in + "/agent.toml", text);
  }
  bool Sees(std::string_view text) {
    return RunUntil(*loop, [&] { return seen == text; });
  }
};

// A package that is removed and installed again.
TEST(FileWatch, AFolderThatIsRemovedAndMadeAnewIsFollowed) {
  Way way;
  way.Make(way.settings, "first");
  way.Follow();
  for (const char* text : {"second", "third"}) {
    std::filesystem::remove_all(way.settings);
    EXPECT_TRUE(way.Sees("")) << "removal before the " << text;
    way.Make(way.settings, text);
    EXPECT_TRUE(way.Sees(text));
  }
  way.Write(way.path, "edited");
  EXPECT_TRUE(way.Sees("edited"));
}

TEST(FileWatch, AFolderThatIsReplacedInOneGoIsFollowed) {
  Way way;
  way.Make(way.settings, "first");
  way.Follow();
  way.Make(way.settings + ".new", "second");
  std::filesystem::rename(way.settings, way.settings + ".old");
  std::filesystem::rename(way.settings + ".new", way.settings);
  EXPECT_TRUE(way.Sees("second"));
  way.Write(way.path, "third");
  EXPECT_TRUE(way.Sees("third"));
  const int told = way.changes;
  way.Write(way.settings + ".old/agent.toml", "of no concern any more");
  RunFor(*way.loop, kQuiet);
  EXPECT_EQ(way.changes, told);
}

TEST(FileWatch, AFolderThatWasEmptyWhenItWentIsFollowed) {
  Way way;
  std::filesystem::create_directories(way.settings);
  way.Follow();
  std::filesystem::remove(way.settings);
  EXPECT_TRUE(way.Sees(""));
  way.Make(way.settings, "first");
  EXPECT_TRUE(way.Sees("first"));
}

TEST(FileWatch, AFolderFurtherUpThatIsMovedAwayAndMadeAnewIsFollowed) {
  Way way;
  way.path = way.settings + "/a/b/agent.toml";
  way.Make(way.settings + "/a/b", "first");
  way.Follow();
  std::filesystem::rename(way.settings, way.settings + ".old");
  EXPECT_TRUE(way.Sees(""));
  way.Make(way.settings + "/a/b", "second");
  EXPECT_TRUE(way.Sees("second"));
}

TEST(FileWatch, AFolderThatIsNotThereYetIsAwaited) {
  Way way;
  way.path = way.settings + "/a/b/agent.toml";
  way.Follow();
  way.Make(way.settings + "/a/b", "all at once");
  EXPECT_TRUE(way.Sees("all at once"));
  std::filesystem::remove_all(way.settings);
  EXPECT_TRUE(way.Sees(""));
  for (const char* step : {"", "/a", "/a/b"}) {
    std::filesystem::create_directory(way.settings + step);
    RunFor(*way.loop, kQuiet);
  }
  way.Write(way.path, "step by step");
  EXPECT_TRUE(way.Sees("step by step"));
}

// A dotfile manager that puts each generation beside the last and swaps a link.
TEST(FileWatch, AFolderThatIsALinkIsFollowedWhenTheLinkIsSwapped) {
  Way way;
  const std::string one = way.folder.path() + "/generation-1";
  const std::string two = way.folder.path() + "/generation-2";
  way.Make(one, "first");
  way.Make(two, "second");
  std::filesystem::create_directory_symlink(one, way.settings);
  way.Follow();
  std::filesystem::create_directory_symlink("generation-2", way.settings + ".new");
  std::filesystem::rename(way.settings + ".new", way.settings);
  EXPECT_TRUE(way.Sees("second")) << "a link that replaces the link";
  way.Write(two + "/agent.toml", "second, edited");
  EXPECT_TRUE(way.Sees("second, edited"));
  std::filesystem::remove(way.settings);
  std::filesystem::create_directory_symlink(one, way.settings);
  EXPECT_TRUE(way.Sees("first")) << "a link that is removed and made anew";
}

TEST(FileWatch, WhatALinkLeadsToMayBeReplacedToo) {
  Way way;
  const std::string target = way.folder.path() + "/dotfiles/fallow";
  way.Make(target, "first");
  std::filesystem::create_directory_symlink("dotfiles/fallow", way.settings);
  way.Follow();
  std::filesystem::remove_all(way.folder.path() + "/dotfiles");
  EXPECT_TRUE(way.Sees("")) << "checked out anew: first it goes";
  way.Make(target, "second");
  EXPECT_TRUE(way.Sees("second"));
}

TEST(FileWatch, ALinkThatLeadsToItselfIsFollowedOnceItIsMended) {
  Way way;
  std::filesystem::create_directory(way.settings);
  std::filesystem::create_symlink("agent.toml", way.path);
  way.Follow();
  std::filesystem::remove(way.path);
  way.Write(way.path, "mended");
  EXPECT_TRUE(way.Sees("mended"));
}

TEST(FileWatch, IsNotConcernedWithTheNeighboursOfItsFolders) {
  Way way;
  way.Make(way.settings + "/a", "ours");
  way.path = way.settings + "/a/agent.toml";
  way.Follow();
  way.Write(way.settings + "/other.toml", "a neighbour");
  std::filesystem::create_directory(way.settings + "/b");
  std::filesystem::remove(way.settings + "/b");
  RunFor(*way.loop, kQuiet);
  EXPECT_EQ(way.changes, 0);
}

TEST(FileWatch, APathThatIsTooDeepIsNamedWithTheLimit) {
  Fixture f;
  std::string deep = f.folder.path();
  for (int i = 0; i < 130; ++i) deep += "/d";
  std::filesystem::create_directories(deep);
  const auto watch = WatchFile(*f.loop, deep + "/agent.toml", [] {});
  ASSERT_FALSE(watch.has_value());
  EXPECT_EQ(watch.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(watch.error().message.find(deep + "/agent.toml"), std::string::npos);
  EXPECT_NE(watch.error().message.find("128"), std::string::npos);
}

}  // namespace
}  // namespace fallow
