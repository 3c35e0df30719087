// The X11 full-screen source against Xvfb, where the test sets the properties that a window manager
// and its windows set.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xcb/xcb.h>

#include <cstdlib>
#include <vector>

#include "platform/session_signals.h"
#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/integration/platform/server_process.h"
#include "tests/integration/platform/x_server.h"

namespace fallow {
namespace {

using fallow::testing::FindProgram;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::ServerProcess;
using fallow::testing::StartXServer;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

// A client of the server that says of windows what a window manager would.
class Windows {
 public:
  explicit Windows(const std::string& display)
      : connection_(xcb_connect(display.c_str(), nullptr)),
        root_(xcb_setup_roots_iterator(xcb_get_setup(connection_)).data->root) {}
  ~Windows() { xcb_disconnect(connection_); }
  Windows(const Windows&) = delete;
  Windows& operator=(const Windows&) = delete;

  xcb_window_t Make(const std::string& program) {
    const xcb_window_t window = xcb_generate_id(connection_);
    xcb_create_window(connection_, XCB_COPY_FROM_PARENT, window, root_, 0, 0, 100, 100, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, 0, nullptr);
    const std::string names = "instance" + std::string(1, '\0') + program + std::string(1, '\0');
    xcb_change_property(connection_, XCB_PROP_MODE_REPLACE, window, XCB_ATOM_WM_CLASS,
                        XCB_ATOM_STRING, 8, static_cast<std::uint32_t>(names.size()), names.data());
    return window;
  }
  void Activate(xcb_window_t window) {
    Put(root_, "_NET_ACTIVE_WINDOW", XCB_ATOM_WINDOW, {window});
  }
  void Stack(const std::vector<xcb_window_t>& from_the_bottom) {
    Put(root_, "_NET_CLIENT_LIST_STACKING", XCB_ATOM_WINDOW, from_the_bottom);
  }
  void SetStates(xcb_window_t window, const std::vector<std::string>& states) {
    Put(window, "_NET_WM_STATE", XCB_ATOM_ATOM, Atoms(states));
  }
  void SetType(xcb_window_t window, const std::string& type) {
    Put(window, "_NET_WM_WINDOW_TYPE", XCB_ATOM_ATOM, Atoms({type}));
  }
  void SetTitle(xcb_window_t window, const std::string& title) {
    xcb_change_property(connection_, XCB_PROP_MODE_REPLACE, window, XCB_ATOM_WM_NAME,
                        XCB_ATOM_STRING, 8, static_cast<std::uint32_t>(title.size()), title.data());
    Settle();
  }
  void Destroy(xcb_window_t window) {
    xcb_destroy_window(connection_, window);
    Settle();
  }

 private:
  xcb_atom_t Atom(const std::string& name) {
    const auto cookie =
        xcb_intern_atom(connection_, 0, static_cast<std::uint16_t>(name.size()), name.c_str());
    xcb_intern_atom_reply_t* reply = xcb_intern_atom_reply(connection_, cookie, nullptr);
    const xcb_atom_t atom = reply != nullptr ? reply->atom : xcb_atom_t{XCB_ATOM_NONE};
    std::free(reply);
    return atom;
  }
  std::vector<std::uint32_t> Atoms(const std::vector<std::string>& names) {
    std::vector<std::uint32_t> atoms;
    for (const std::string& name : names) atoms.push_back(Atom(name));
    return atoms;
  }
  void Put(xcb_window_t window, const std::string& property, xcb_atom_t type,
           const std::vector<std::uint32_t>& words) {
    xcb_change_property(connection_, XCB_PROP_MODE_REPLACE, window, Atom(property), type, 32,
                        static_cast<std::uint32_t>(words.size()), words.data());
    Settle();
  }
  // The server has done everything so far.
  void Settle() {
    std::free(xcb_get_input_focus_reply(connection_, xcb_get_input_focus(connection_), nullptr));
  }

  xcb_connection_t* connection_;
  xcb_window_t root_;
};

class X11FullScreen : public ::testing::Test {
 protected:
  void SetUp() override {
    if (FindProgram("Xvfb").empty()) GTEST_SKIP() << "Xvfb is not installed";
    // It starts anew when its last client goes, unless told not to.
    auto server = StartXServer({"-noreset"});
    ASSERT_FALSE(server.display.empty()) << "Xvfb did not start";
    server_ = std::move(server.process);
    display_ = server.display;
    windows_ = std::make_unique<Windows>(display_);
    auto source = NewX11FullScreenSource(*loop_, display_);
    ASSERT_TRUE(source.has_value()) << source.error().message;
    source_ = *std::move(source);
    source_->Read();
    source_->OnChange([this] { ++changes_; });
  }

  SessionSignal ReadAfterChange() {
    const int before = changes_;
    EXPECT_TRUE(RunUntil(*loop_, [&] { return changes_ > before; })) << "no change was told";
    return source_->Read();
  }

  std::unique_ptr<ServerProcess> server_;
  std::string display_;
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<Windows> windows_;
  std::unique_ptr<SessionSignalSource> source_;
  int changes_ = 0;
};

TEST_F(X11FullScreen, ActiveWindowThatCoversTheScreenIsTold) {
  const xcb_window_t editor = windows_->Make("Editor");
  const xcb_window_t game = windows_->Make("Supertuxkart");
  windows_->Activate(editor);
  SessionSignal signal = ReadAfterChange();
  EXPECT_TRUE(signal.known) << signal.detail;
  EXPECT_FALSE(signal.active);
  EXPECT_EQ(signal.source, "x11 " + display_);

  windows_->Activate(game);
  EXPECT_FALSE(ReadAfterChange().active);
  windows_->SetStates(game, {"_NET_WM_STATE_ABOVE", "_NET_WM_STATE_FULLSCREEN"});
  signal = ReadAfterChange();
  EXPECT_TRUE(signal.active);
  EXPECT_EQ(signal.detail, "Supertuxkart");

  windows_->Activate(editor);
  EXPECT_FALSE(ReadAfterChange().active) << "a game behind another window";
  windows_->Activate(game);
  EXPECT_TRUE(ReadAfterChange().active);
  windows_->SetStates(game, {});
  EXPECT_FALSE(ReadAfterChange().active);
}

TEST_F(X11FullScreen, DesktopAndPanelsDoNotCount) {
  for (const char* type : {"_NET_WM_WINDOW_TYPE_DESKTOP", "_NET_WM_WINDOW_TYPE_DOCK"}) {
    const xcb_window_t window = windows_->Make("Desk");
    windows_->SetType(window, type);
    windows_->SetStates(window, {"_NET_WM_STATE_FULLSCREEN"});
    windows_->Activate(window);
    const SessionSignal signal = ReadAfterChange();
    EXPECT_TRUE(signal.known) << signal.detail;
    EXPECT_FALSE(signal.active) << type;
  }
}

TEST_F(X11FullScreen, WithoutAWindowManagerItCannotTell) {
  SessionSignal signal = source_->Read();
  EXPECT_FALSE(signal.known);
  EXPECT_THAT(signal.detail, HasSubstr("no window manager on " + display_));
  windows_->Activate(XCB_WINDOW_NONE);
  signal = ReadAfterChange();
  EXPECT_TRUE(signal.known) << "one has come, and no window is active";
  EXPECT_FALSE(signal.active);
}

// As Mutter until a window gets the keyboard for the first time.
TEST_F(X11FullScreen, WhereNoWindowWasActiveYetTheTopOneCounts) {
  const xcb_window_t game = windows_->Make("Game");
  windows_->SetStates(game, {"_NET_WM_STATE_FULLSCREEN"});
  windows_->Stack({game});
  const SessionSignal signal = ReadAfterChange();
  EXPECT_TRUE(signal.active);
  EXPECT_EQ(signal.detail, "Game");
  const xcb_window_t editor = windows_->Make("Editor");
  windows_->Stack({game, editor});
  EXPECT_FALSE(ReadAfterChange().active);
  windows_->Stack({editor, game});
  EXPECT_TRUE(ReadAfterChange().active);
  windows_->SetStates(game, {"_NET_WM_STATE_FULLSCREEN", "_NET_WM_STATE_HIDDEN"});
  EXPECT_FALSE(ReadAfterChange().active) << "a minimized window stays where it was";
  windows_->SetStates(game, {"_NET_WM_STATE_FULLSCREEN"});
  EXPECT_TRUE(ReadAfterChange().active);
  windows_->Stack({});
  EXPECT_FALSE(ReadAfterChange().active);
  windows_->Activate(XCB_WINDOW_NONE);
  EXPECT_FALSE(ReadAfterChange().active);
  const int before = changes_;
  windows_->Stack({game});
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(changes_, before) << "who is active is told by then: a Wayland window, if none";
}

TEST_F(X11FullScreen, WindowThatGoesEndsIt) {
  const xcb_window_t game = windows_->Make("Game");
  windows_->SetStates(game, {"_NET_WM_STATE_FULLSCREEN"});
  windows_->Activate(game);
  EXPECT_TRUE(ReadAfterChange().active);
  windows_->Destroy(game);  // and no window manager says so
  const SessionSignal signal = ReadAfterChange();
  EXPECT_TRUE(signal.known) << signal.detail;
  EXPECT_FALSE(signal.active);
}

TEST_F(X11FullScreen, TitlesAreNoChange) {
  const xcb_window_t window = windows_->Make("Player");
  windows_->Activate(window);
  EXPECT_FALSE(ReadAfterChange().active);
  const int before = changes_;
  for (int i = 0; i < 20; ++i) windows_->SetTitle(window, std::to_string(i));
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(changes_, before);
}

TEST_F(X11FullScreen, OddPropertiesAreSurvived) {
  const xcb_window_t window = windows_->Make("Odd\x01\xff" + std::string(500, 'x'));
  windows_->SetStates(window, std::vector<std::string>(200, "_NET_WM_STATE_FULLSCREEN"));
  windows_->Activate(window);
  const SessionSignal signal = ReadAfterChange();
  EXPECT_TRUE(signal.active);
  EXPECT_LE(signal.detail.size(), 80u);
  EXPECT_THAT(signal.detail, HasSubstr("Odd ?xxx"));
}

TEST_F(X11FullScreen, FloodOfEventsIsCutOffAndNamed) {
  const xcb_window_t window = windows_->Make("Flood");
  windows_->Activate(window);
  EXPECT_FALSE(ReadAfterChange().active);
  // They lie in wait when the loop looks, so that they come at once.
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    if (source_->Read().known)
      for (int i = 0; i < 3'000; ++i) windows_->SetTitle(window, std::to_string(i));
    return !source_->Read().known;
  }));
  EXPECT_THAT(source_->Read().detail, HasSubstr("more than 2000 events a second"));
}

TEST_F(X11FullScreen, DeathOfTheServerIsNoticed) {
  windows_->Activate(XCB_WINDOW_NONE);
  EXPECT_TRUE(ReadAfterChange().known);
  server_->Kill();
  const SessionSignal signal = ReadAfterChange();
  EXPECT_FALSE(signal.known);
  EXPECT_THAT(signal.detail, HasSubstr(display_));
}

TEST_F(X11FullScreen, SourceMayBeDestroyedWhenItTells) {
  source_->OnChange([this] { source_ = nullptr; });
  windows_->Activate(XCB_WINDOW_NONE);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return source_ == nullptr; }));
}

TEST_F(X11FullScreen, HangingServerCostsABoundedWaitAndIsNamed) {
  windows_->Activate(windows_->Make("Editor"));
  server_->Signal(SIGSTOP);
  const auto start = std::chrono::steady_clock::now();
  const SessionSignal signal = source_->Read();
  EXPECT_FALSE(signal.known);
  EXPECT_THAT(signal.detail, HasSubstr("the X server at " + display_ + " does not answer"));
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(source_->Read().known);
  EXPECT_FALSE(NewX11FullScreenSource(*loop_, display_).has_value()) << "is not greeted";
  // Of 200 ms each, on a machine that is busy with much else: fifty would take 10 s.
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5'000));
  server_->Signal(SIGCONT);
}

TEST(X11FullScreenSource, NoServerIsUnavailable) {
  const auto loop = NewMainLoop();
  const auto source = NewX11FullScreenSource(*loop, ":59999");
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fallow
