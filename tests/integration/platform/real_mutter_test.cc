// Presence and full screens against the real Mutter: as GNOME's Wayland compositor, with XWayland
// beside it, and as the window manager of an X server.
#include "tests/integration/platform/real_mutter.h"

#include <gmock/gmock.h>
#include <signal.h>

#include "platform/presence.h"
#include "platform/x11_clients.h"
#include "tests/integration/platform/bus_fixture.h"
#include "tests/integration/platform/client_window.h"
#include "tests/integration/platform/x11_window.h"
#include "tests/integration/platform/x_server.h"

namespace fallow {
namespace {

using fallow::testing::AwaitWindowManager;
using fallow::testing::BusTest;
using fallow::testing::ClientWindow;
using fallow::testing::FindProgram;
using fallow::testing::kBoundedWait;
using fallow::testing::RealMutter;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::StartXServer;
using fallow::testing::X11Window;
using fallow::testing::XServer;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

class RealMutterTest : public BusTest {
 protected:
  void Start(const RealMutter::Options& options = {}) {
    std::string why_not;
    mutter_ = RealMutter::Start(why_not, options);
    if (mutter_ == nullptr) GTEST_SKIP() << why_not;
  }
  // One that has just begun to serve may be too busy to answer in time.
  void OpenPresence() {
    std::string trouble;
    ASSERT_TRUE(RunUntil(*loop_, [&] {
      auto source = NewMutterPresenceSource(*loop_);
      if (source) {
        presence_ = *std::move(source);
      } else {
        trouble = source.error().message;
      }
      return presence_ != nullptr;
    })) << trouble;
  }
  void AwaitIdle(milliseconds idle_for) {
    PresenceReading reading;
    ASSERT_TRUE(RunUntil(*loop_,
                         [&] {
                           reading = presence_->Read();
                           return reading.known && reading.idle_for >= idle_for;
                         }))
        << reading.detail << ", idle for " << reading.idle_for.count() << " ms";
  }

  std::unique_ptr<RealMutter> mutter_;
  std::unique_ptr<PresenceSource> presence_;
};

class RealMutterPresence : public RealMutterTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Start();
    if (!IsSkipped()) OpenPresence();
  }
  // As patient: on a busy machine its answers may be late, which is use to the source.
  void Await(const std::function<void()>& on_input) {
    ASSERT_TRUE(RunUntil(*loop_, [&] { return presence_->AwaitInput(on_input); }));
  }
  // `touch` ends a wait and sets the clock back; other moments do not.
  template <class Touch>
  void ExpectInput(Touch touch) {
    ASSERT_NO_FATAL_FAILURE(AwaitIdle(kIdleFor));
    int told = 0;
    ASSERT_NO_FATAL_FAILURE(Await([&] { ++told; }));
    RunFor(*loop_, milliseconds(100));
    EXPECT_EQ(told, 0);
    const auto before = steady_clock::now();
    ASSERT_TRUE(touch());
    EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
    PresenceReading reading;
    EXPECT_TRUE(RunUntil(*loop_, [&] { return (reading = presence_->Read()).known; }))
        << reading.detail;
    const auto since = steady_clock::now() - before;
    EXPECT_LE(reading.idle_for, since + kGrain);
    ASSERT_TRUE(touch());
    RunFor(*loop_, milliseconds(50));
    EXPECT_EQ(told, 1) << "once";
  }

  static constexpr milliseconds kIdleFor{300};
  static constexpr milliseconds kGrain{10};  // of Mutter's clock
};

TEST_F(RealMutterPresence, IdleTimeGrowsAndAPointerAndAKeyEndItAndTheWait) {
  ExpectInput([this] { return mutter_->MovePointer(); });
  ExpectInput([this] { return mutter_->PressKey(); });
}

TEST_F(RealMutterPresence, ReplacedAndEndedWaitsAreNotTold) {
  int replaced = 0;
  int told = 0;
  ASSERT_NO_FATAL_FAILURE(Await([&] { ++replaced; }));
  ASSERT_NO_FATAL_FAILURE(Await([&] { ++told; }));
  ASSERT_TRUE(mutter_->MovePointer());
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  ASSERT_NO_FATAL_FAILURE(Await([&] { ++replaced; }));
  ASSERT_TRUE(presence_->AwaitInput(nullptr));
  ASSERT_TRUE(mutter_->MovePointer());
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(replaced, 0);
  EXPECT_EQ(told, 1);
}

TEST_F(RealMutterPresence, FrozenOneCostsABoundedWaitAndEndsTheOther) {
  int told = 0;
  ASSERT_NO_FATAL_FAILURE(Await([&] { ++told; }));
  mutter_->Signal(SIGSTOP);
  PresenceReading reading;
  EXPECT_LT(TimeOf([&] { reading = presence_->Read(); }), kBoundedWait);
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("org.gnome.Mutter.IdleMonitor does not answer"));
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  mutter_->Signal(SIGCONT);
  ExpectInput([this] { return mutter_->MovePointer(); });
}

TEST_F(RealMutterPresence, DeathEndsTheWaitAndIsNamed) {
  int told = 0;
  ASSERT_NO_FATAL_FAILURE(Await([&] { ++told; }));
  mutter_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  const auto reading = presence_->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("org.gnome.Mutter.IdleMonitor is not running"));
  EXPECT_FALSE(presence_->AwaitInput([&] { ++told; }));
  Start();
  OpenPresence();
  ExpectInput([this] { return mutter_->MovePointer(); });
}

// Why GNOME needs sources of its own.
TEST_F(RealMutterPresence, OffersNoIdleClockAndNoWindowsOverWayland) {
  const auto presence = NewWaylandPresenceSource(*loop_, mutter_->wayland_socket());
  ASSERT_FALSE(presence.has_value());
  EXPECT_THAT(presence.error().message, HasSubstr("has no idle clock"));
  const auto windows = NewWaylandFullScreenSource(*loop_, mutter_->wayland_socket());
  ASSERT_FALSE(windows.has_value());
  EXPECT_THAT(windows.error().message, HasSubstr("GNOME's compositor"));
}

class RealMutterFullScreen : public RealMutterTest {
 protected:
  void TearDown() override {
    source_ = nullptr;
    mutter_ = nullptr;
    unsetenv("XAUTHORITY");
  }
  void StartWithXwayland() {
    Start({.xwayland = true});
    if (mutter_ == nullptr) return;
    display_ = mutter_->x_display();
    setenv("XAUTHORITY", mutter_->x_authority().c_str(), 1);
    ASSERT_TRUE(AwaitWindowManager(display_));
  }
  void OpenSource() {
    std::string trouble;
    ASSERT_TRUE(RunUntil(*loop_, [&] {
      auto source = NewX11FullScreenSource(*loop_, display_);
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
  // Told by the source of its own accord: this program, or none.
  ::testing::AssertionResult Tells(const std::string& program, ClientWindow* beside = nullptr) {
    if (RunUntil(*loop_, [&] {
          if (beside != nullptr) beside->Pump();
          return signal_.known && signal_.active == !program.empty() && signal_.detail == program;
        }))
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "known: " << signal_.known << ", " << signal_.detail;
  }
  // The life of a game in `display_`, seen by the source.
  void FollowAGame() {
    auto game = std::make_unique<X11Window>(display_, "supertuxkart", /*covers_screen=*/false);
    ASSERT_NO_FATAL_FAILURE(OpenSource());
    EXPECT_TRUE(Tells(""));
    game->CoverScreen(true);
    ASSERT_TRUE(Tells("supertuxkart"));
    game->CoverScreen(false);
    EXPECT_TRUE(Tells(""));
    auto film = std::make_unique<X11Window>(display_, "mpv", /*covers_screen=*/true);
    EXPECT_TRUE(Tells("mpv"));
    film = nullptr;
    EXPECT_TRUE(Tells(""));
    game->CoverScreen(true);
    EXPECT_TRUE(Tells("supertuxkart"));
    game = nullptr;
    EXPECT_TRUE(Tells("")) << "it has gone";
  }

  std::string display_;
  std::unique_ptr<SessionSignalSource> source_;
  SessionSignal signal_;
};

TEST_F(RealMutterFullScreen, GameUnderXwaylandIsTold) {
  StartWithXwayland();
  if (IsSkipped()) return;
  EXPECT_TRUE(RunUntil(*loop_, [&] { return !HasX11Clients(display_); })) << "Mutter is none";
  FollowAGame();
}

TEST_F(RealMutterFullScreen, WaylandWindowInFrontOfAGameUnderXwaylandEndsIt) {
  StartWithXwayland();
  if (IsSkipped()) return;
  const X11Window game(display_, "supertuxkart", /*covers_screen=*/true);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return HasX11Clients(display_); }));
  OpenSource();
  ASSERT_TRUE(Tells("supertuxkart"));
  auto other =
      std::make_unique<ClientWindow>(mutter_->wayland_socket(), "editor", /*covers_screen=*/false);
  EXPECT_TRUE(Tells("", other.get()));
  other = nullptr;
  EXPECT_TRUE(Tells("supertuxkart")) << "it has the keyboard again";
}

// By its devices, once the compositor has some; by what it lacks before.
TEST_F(RealMutterFullScreen, XwaylandIsNotTakenForPresence) {
  StartWithXwayland();
  if (IsSkipped()) return;
  const X11Window window(display_, "editor", /*covers_screen=*/false);
  const auto none = NewX11PresenceSource(*loop_, display_);
  ASSERT_FALSE(none.has_value());
  ASSERT_TRUE(mutter_->MovePointer());
  std::string trouble;
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    const auto presence = NewX11PresenceSource(*loop_, display_);
    EXPECT_FALSE(presence.has_value());
    trouble = presence ? "it is" : presence.error().message;
    return trouble.contains("is XWayland");
  })) << trouble;
}

TEST_F(RealMutterFullScreen, GameUnderAnXServerThatItManagesIsTold) {
  if (FindProgram("Xvfb").empty()) GTEST_SKIP() << "Xvfb is not installed";
  const XServer server = StartXServer({"-noreset"});
  ASSERT_FALSE(server.display.empty()) << "Xvfb did not start";
  Start({.manages_display = server.display});
  if (IsSkipped()) return;
  display_ = server.display;
  ASSERT_TRUE(AwaitWindowManager(display_));
  FollowAGame();
  OpenPresence();
  ASSERT_NO_FATAL_FAILURE(AwaitIdle(milliseconds(300)));
}

}  // namespace
}  // namespace fallow
