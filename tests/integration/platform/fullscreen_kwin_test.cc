// The Wayland full-screen source against a virtual KWin with real windows: as KWin is in its own
// tests, trusting everybody, and as owners have it, trusting whom a .desktop file speaks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "platform/session_signals.h"
#include "platform/system.h"
#include "tests/integration/platform/client_window.h"
#include "tests/integration/platform/real_compositors.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::ClientWindow;
using fallow::testing::RealCompositor;
using fallow::testing::RunUntil;
using fallow::testing::StartKWin;
using fallow::testing::TemporaryFolder;
using ::testing::HasSubstr;

class KWinFullScreen : public ::testing::Test {
 protected:
  void Start(const std::string& data_folder = "") {
    std::string why_not;
    kwin_ = StartKWin(why_not, data_folder);
    if (kwin_ == nullptr) GTEST_SKIP() << why_not;
  }
  // KWin may take its time for the first client: it reads all .desktop files.
  void OpenSource() {
    source_ = nullptr;
    ASSERT_TRUE(RunUntil(*loop_, [&] {
      auto source = NewWaylandFullScreenSource(*loop_, kwin_->socket_path());
      if (source) {
        source_ = *std::move(source);
      } else {
        trouble_ = source.error().message;
      }
      return source_ != nullptr;
    })) << trouble_;
    signal_ = source_->Read();
    source_->OnChange([this] { signal_ = source_->Read(); });
  }
  std::unique_ptr<ClientWindow> OpenWindow(const std::string& program, bool covers_screen) {
    return std::make_unique<ClientWindow>(kwin_->socket_path(), program, covers_screen);
  }
  // Told by the source of its own accord.
  bool AwaitActive(bool active, std::initializer_list<ClientWindow*> windows) {
    return RunUntil(*loop_, [&] {
      for (ClientWindow* window : windows) window->Pump();
      return signal_.known && signal_.active == active;
    });
  }

  TemporaryFolder folder_;
  std::unique_ptr<RealCompositor> kwin_;
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<SessionSignalSource> source_;
  SessionSignal signal_;
  std::string trouble_;
};

TEST_F(KWinFullScreen, WindowThatCoversTheScreenAndHasTheKeyboardIsTold) {
  Start();
  if (IsSkipped()) return;
  OpenSource();
  EXPECT_TRUE(signal_.known) << signal_.detail;
  EXPECT_FALSE(signal_.active);
  auto game = OpenWindow("supertuxkart", /*covers_screen=*/true);
  ASSERT_TRUE(AwaitActive(true, {game.get()})) << signal_.detail;
  EXPECT_EQ(signal_.detail, "supertuxkart");

  auto other = OpenWindow("editor", /*covers_screen=*/false);
  EXPECT_TRUE(AwaitActive(false, {game.get(), other.get()})) << "it has lost the keyboard";
  other = nullptr;
  EXPECT_TRUE(AwaitActive(true, {game.get()})) << "it has it again";
  game->CoverScreen(false);
  EXPECT_TRUE(AwaitActive(false, {game.get()}));
  game->CoverScreen(true);
  EXPECT_TRUE(AwaitActive(true, {game.get()}));

  OpenSource();
  EXPECT_TRUE(signal_.active) << "one that comes later is told of what is there";
  EXPECT_EQ(signal_.detail, "supertuxkart");
  game = nullptr;
  EXPECT_TRUE(AwaitActive(false, {})) << "it has gone";
}

TEST_F(KWinFullScreen, DeathOfTheCompositorIsNoticed) {
  Start();
  if (IsSkipped()) return;
  OpenSource();
  kwin_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return !signal_.known; }));
  EXPECT_THAT(signal_.detail, HasSubstr("has ended"));
}

TEST_F(KWinFullScreen, ProgramThatADesktopFileSpeaksForIsTrusted) {
  std::filesystem::create_directory(folder_.path() + "/applications");
  std::ifstream shipped(FALLOW_SOURCE_DIR "/packaging/desktop/fallow-session.desktop");
  std::ofstream ours(folder_.path() + "/applications/fallow-session.desktop");
  for (std::string line; std::getline(shipped, line);) {
    if (line.starts_with("Exec="))
      line = "Exec=" + std::filesystem::read_symlink("/proc/self/exe").string();
    ours << line << "\n";
  }
  ours.close();
  Start(folder_.path());
  if (IsSkipped()) return;
  OpenSource();
  const auto game = OpenWindow("supertuxkart", /*covers_screen=*/true);
  EXPECT_TRUE(AwaitActive(true, {game.get()})) << signal_.detail;
}

TEST_F(KWinFullScreen, StrangerIsToldTheWayOut) {
  Start(folder_.path());
  if (IsSkipped()) return;
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    const auto source = NewWaylandFullScreenSource(*loop_, kwin_->socket_path());
    if (!source) trouble_ = source.error().message;
    return trouble_.contains("install fallow-session.desktop");
  })) << trouble_;
}

}  // namespace
}  // namespace fallow
