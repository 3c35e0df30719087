// The Wayland full-screen source against a headless sway with a real window (foot), and against
// compositors that the test plays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <wayland-server.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "platform/session_signals.h"
#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::FindProgram;
using fallow::testing::RunUntil;
using fallow::testing::ServerProcess;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

class Sway : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"sway", "swaymsg", "foot", "setpriv"}) {
      if (FindProgram(program).empty()) GTEST_SKIP() << program << " is not installed";
    }
    const std::string config = folder_.path() + "/sway.conf";
    std::ofstream(config) << "exec echo $WAYLAND_DISPLAY >&3\n";
    std::vector<std::string> command = {"/usr/bin/env",        "XDG_RUNTIME_DIR=" + folder_.path(),
                                        "SWAYSOCK=" + ipc(),   "WLR_BACKENDS=headless",
                                        "WLR_RENDERER=pixman", "WLR_LIBINPUT_NO_DEVICES=1"};
    if (geteuid() == 0) {  // as whom sway refuses to run
      for (const std::string& path : {folder_.path(), config})
        ASSERT_EQ(chown(path.c_str(), kNobody, kNobody), 0);
      const std::string id = std::to_string(kNobody);
      for (const std::string& word : {FindProgram("setpriv"), "--reuid=" + id, "--regid=" + id,
                                      std::string("--clear-groups")})
        command.push_back(word);
    }
    for (const std::string& word : {FindProgram("sway"), std::string("-c"), config})
      command.push_back(word);
    sway_ = std::make_unique<ServerProcess>(command);
    const std::string name = sway_->AwaitAnnouncement();
    ASSERT_FALSE(name.empty()) << "sway did not start";
    display_ = folder_.path() + "/" + name;
    // A compositor that has just begun to serve may be too busy to answer in time.
    std::string trouble;
    ASSERT_TRUE(RunUntil(*loop_, [&] {
      auto source = NewWaylandFullScreenSource(*loop_, display_);
      if (source) {
        source_ = *std::move(source);
      } else {
        trouble = source.error().message;
      }
      return source_ != nullptr;
    })) << trouble;
    signal_ = source_->Read();
    source_->OnChange([this] { signal_ = source_->Read(); });
  }

  std::unique_ptr<ServerProcess> OpenWindow() {
    return std::make_unique<ServerProcess>(std::vector<std::string>{
        "/usr/bin/env", "XDG_RUNTIME_DIR=" + folder_.path(), "WAYLAND_DISPLAY=" + display_,
        FindProgram("foot"), "--app-id=supertuxkart", "sleep", "100"});
  }
  bool Tell(const std::string& command) {
    const std::string line = "timeout 10 swaymsg -q -s " + ipc() + " '" + command + "' 2>/dev/null";
    return std::system(line.c_str()) == 0;
  }
  // Told by the source of its own accord.
  bool AwaitActive(bool active) {
    return RunUntil(*loop_, [&] { return signal_.known && signal_.active == active; });
  }
  std::string ipc() const { return folder_.path() + "/ipc"; }

  static constexpr unsigned kNobody = 65534;
  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> sway_;
  std::string display_;
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<SessionSignalSource> source_;
  SessionSignal signal_;
};

TEST_F(Sway, WindowThatCoversTheScreenAndHasTheKeyboardIsTold) {
  EXPECT_TRUE(signal_.known) << signal_.detail;
  EXPECT_FALSE(signal_.active);
  auto window = OpenWindow();
  // The window is there once sway has something to make full screen.
  ASSERT_TRUE(fallow::testing::WaitUntil(
      [&] { return Tell("[app_id=supertuxkart] fullscreen enable"); }, std::chrono::seconds(60)));
  ASSERT_TRUE(AwaitActive(true)) << signal_.detail;
  EXPECT_EQ(signal_.detail, "supertuxkart");

  ASSERT_TRUE(Tell("workspace other"));
  EXPECT_TRUE(AwaitActive(false)) << "it has lost the keyboard";
  ASSERT_TRUE(Tell("[app_id=supertuxkart] focus"));
  EXPECT_TRUE(AwaitActive(true));
  ASSERT_TRUE(Tell("fullscreen disable"));
  EXPECT_TRUE(AwaitActive(false));
  ASSERT_TRUE(Tell("fullscreen enable"));
  EXPECT_TRUE(AwaitActive(true));
  window = nullptr;
  EXPECT_TRUE(AwaitActive(false)) << "it has gone";
}

TEST_F(Sway, DeathOfTheCompositorIsNoticed) {
  sway_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return !signal_.known; }));
  EXPECT_FALSE(signal_.active);
  EXPECT_THAT(signal_.detail, HasSubstr("has ended"));
}

TEST_F(Sway, SourceMayBeDestroyedWhenItTells) {
  source_->OnChange([this] { source_ = nullptr; });
  sway_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return source_ == nullptr; }));
}

TEST(WaylandFullScreenSource, CompositorWithoutTheProtocolIsNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/wayland";
  wl_display* compositor = wl_display_create();
  ASSERT_EQ(wl_display_add_socket(compositor, path.c_str()), 0);
  std::atomic<bool> ending = false;
  std::thread thread([&] {
    while (!ending) {
      wl_event_loop_dispatch(wl_display_get_event_loop(compositor), 5);
      wl_display_flush_clients(compositor);
    }
  });
  const auto loop = NewMainLoop();
  const auto source = NewWaylandFullScreenSource(*loop, path);
  ending = true;
  thread.join();
  wl_display_destroy_clients(compositor);
  wl_display_destroy(compositor);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("lacks zwlr_foreign_toplevel_manager_v1"));
}

TEST(WaylandFullScreenSource, CompositorThatDoesNotAnswerCostsABoundedWaitAndIsNamed) {
  const TemporaryFolder folder;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = folder.path() + "/wayland";
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  const auto loop = NewMainLoop();
  const auto start = std::chrono::steady_clock::now();
  const auto source = NewWaylandFullScreenSource(*loop, path);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5'000));
  close(listener);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr(path + " does not answer"));
}

TEST(WaylandFullScreenSource, NoCompositorIsUnavailable) {
  const auto loop = NewMainLoop();
  const auto source = NewWaylandFullScreenSource(*loop, "/nowhere/wayland-7");
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("/nowhere/wayland-7"));
}

}  // namespace
}  // namespace fallow
