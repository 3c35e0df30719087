// Who holds back the screen saver, against Xvfb, whose saver a client of the test's own holds back
// as a player does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <xcb/screensaver.h>

#include <cstdlib>

#include "platform/session_signals.h"
#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/integration/platform/server_process.h"
#include "tests/integration/platform/x_server.h"

namespace fallow {
namespace {

using fallow::testing::FindProgram;
using fallow::testing::RunUntil;
using fallow::testing::ServerProcess;
using fallow::testing::StartXServer;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

class Player {
 public:
  explicit Player(const std::string& display) : connection_(xcb_connect(display.c_str(), nullptr)) {
    std::free(xcb_screensaver_query_version_reply(
        connection_, xcb_screensaver_query_version(connection_, 1, 1), nullptr));
  }
  ~Player() { xcb_disconnect(connection_); }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  void HoldSaverBack(bool held) {
    xcb_screensaver_suspend(connection_, held ? 1 : 0);
    // The server has done it.
    std::free(xcb_get_input_focus_reply(connection_, xcb_get_input_focus(connection_), nullptr));
  }

 private:
  xcb_connection_t* connection_;
};

class X11Inhibitor : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(const std::vector<std::string>& more) {
    if (FindProgram("Xvfb").empty()) GTEST_SKIP() << "Xvfb is not installed";
    std::vector<std::string> options = {"-noreset"};
    options.insert(options.end(), more.begin(), more.end());
    auto server = StartXServer(options);
    ASSERT_FALSE(server.display.empty()) << "Xvfb did not start";
    server_ = std::move(server.process);
    display_ = server.display;
  }
  std::unique_ptr<SessionSignalSource> Open(milliseconds good_for = milliseconds(0)) {
    auto source = NewX11InhibitorSource(display_, good_for);
    EXPECT_TRUE(source.has_value()) << source.error().message;
    return *std::move(source);
  }

  std::unique_ptr<ServerProcess> server_;
  std::string display_;
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
};

TEST_F(X11Inhibitor, ProgramThatHoldsTheSaverBackIsNamedUntilItStopsOrEnds) {
  const auto source = Open();
  auto player = std::make_unique<Player>(display_);
  EXPECT_FALSE(source->Read().active) << "a program like any other";

  player->HoldSaverBack(true);
  const auto held = source->Read();
  EXPECT_EQ(held.kind, SessionSignalKind::kIdleInhibitor);
  EXPECT_TRUE(held.known) << held.detail;
  EXPECT_TRUE(held.active);
  EXPECT_THAT(held.detail, HasSubstr("platform_signal")) << "this program";

  player->HoldSaverBack(false);
  EXPECT_FALSE(source->Read().active);
  player->HoldSaverBack(true);
  player = nullptr;
  // The server takes the end of a connection in its own time.
  EXPECT_TRUE(RunUntil(*loop_, [&] { return !source->Read().active; }));
  EXPECT_TRUE(source->Read().known);
}

TEST_F(X11Inhibitor, ServerIsNotAskedAgainWhileTheAnswerIsGood) {
  const auto source = Open(std::chrono::hours(1));
  EXPECT_FALSE(source->OnChange([] {})) << "nothing tells of changes";
  EXPECT_FALSE(source->Read().active);
  Player player(display_);
  player.HoldSaverBack(true);
  EXPECT_FALSE(source->Read().active);
}

TEST_F(X11Inhibitor, ServerThatHangsCostsABoundedWaitAndIsNamed) {
  const auto source = Open();
  server_->Signal(SIGSTOP);
  const auto start = std::chrono::steady_clock::now();
  const auto signal = source->Read();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5'000));
  EXPECT_FALSE(signal.known);
  EXPECT_EQ(signal.detail, "the X server at " + display_ + " does not answer");
}

TEST_F(X11Inhibitor, EndOfTheServerIsNoticed) {
  const auto source = Open();
  EXPECT_TRUE(source->Read().known);
  server_->Kill();
  EXPECT_FALSE(source->Read().known);
}

TEST_F(X11Inhibitor, ServerThatCannotBeAskedIsNamed) {
  server_ = nullptr;
  Start({"-extension", "X-Resource"});
  if (server_ == nullptr) return;
  const auto source = NewX11InhibitorSource(display_);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("lacks the X-Resource extension"));
}

TEST(X11InhibitorSource, NoServerIsUnavailable) {
  const auto source = NewX11InhibitorSource(":59999");
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fallow
