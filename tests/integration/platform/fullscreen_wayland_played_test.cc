// The Wayland full-screen source against compositors that the test plays: KWin's protocol of
// windows, of whose windows none is real, and compositors that tell nothing, as GNOME's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "generated/wayland/kde_window_management_server.h"
#include "platform/session_signals.h"
#include "platform/system.h"
#include "tests/integration/platform/played_wayland_server.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::PlayedWaylandServer;
using fallow::testing::RunUntil;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr std::uint32_t kActive = ORG_KDE_PLASMA_WINDOW_MANAGEMENT_STATE_ACTIVE;
constexpr std::uint32_t kFullScreen = ORG_KDE_PLASMA_WINDOW_MANAGEMENT_STATE_FULLSCREEN;
constexpr std::uint32_t kMinimized = ORG_KDE_PLASMA_WINDOW_MANAGEMENT_STATE_MINIMIZED;

class PlayedKWin : public PlayedWaylandServer {
 public:
  explicit PlayedKWin(const std::string& path, int version = 16) : PlayedWaylandServer(path) {
    wl_global_create(display(), &org_kde_plasma_window_management_interface, version, this,
                     [](wl_client* client, void* self, std::uint32_t bound, std::uint32_t id) {
                       static_cast<PlayedKWin*>(self)->Bind(client, bound, id);
                     });
    Run();
  }
  ~PlayedKWin() { End(); }
  PlayedKWin(const PlayedKWin&) = delete;
  PlayedKWin& operator=(const PlayedKWin&) = delete;

  void Show(const std::string& uuid, std::uint32_t states) {
    Do([&] {
      windows_.push_back({.uuid = uuid, .states = states});
      if (manager_ != nullptr)
        org_kde_plasma_window_management_send_window_with_uuid(manager_, 0, uuid.c_str());
    });
  }
  void SetStates(const std::string& uuid, std::uint32_t states) {
    Do([&] { org_kde_plasma_window_send_state_changed(Find(uuid)->resource, states); });
  }
  void Close(const std::string& uuid) {
    Do([&] { org_kde_plasma_window_send_unmapped(Find(uuid)->resource); });
  }
  void Flood(const std::string& uuid, int events) {
    Do([&] {
      for (int i = 0; i < events; ++i)
        org_kde_plasma_window_send_title_changed(Find(uuid)->resource, "frame");
    });
  }
  void Complain() {
    Do([&] { wl_resource_post_error(manager_, 7, "no"); });
  }
  // Of how many windows the client wants to hear.
  int followed() {
    int count = 0;
    Do([&] { count = followed_; });
    return count;
  }

 private:
  struct Window {
    std::string uuid;
    std::uint32_t states = 0;
    wl_resource* resource = nullptr;
  };

  void Bind(wl_client* client, std::uint32_t version, std::uint32_t id) {
    static const struct org_kde_plasma_window_management_interface kRequests = {
        .show_desktop = nullptr,
        .get_window = nullptr,
        .get_window_by_uuid = [](wl_client* asker, wl_resource* manager, std::uint32_t window,
                                 const char* uuid) {
          static_cast<PlayedKWin*>(wl_resource_get_user_data(manager))->Tell(asker, window, uuid);
        }};
    manager_ = wl_resource_create(client, &org_kde_plasma_window_management_interface,
                                  static_cast<int>(version), id);
    wl_resource_set_implementation(manager_, &kRequests, this, [](wl_resource* gone) {
      static_cast<PlayedKWin*>(wl_resource_get_user_data(gone))->manager_ = nullptr;
    });
    for (const Window& window : windows_)
      org_kde_plasma_window_management_send_window_with_uuid(manager_, 0, window.uuid.c_str());
  }

  // What is known of it. A window that has gone is told to be unmapped.
  void Tell(wl_client* client, std::uint32_t id, const std::string& uuid) {
    static const struct org_kde_plasma_window_interface kRequests = {.destroy = DestroyResource};
    ++followed_;
    wl_resource* resource = wl_resource_create(client, &org_kde_plasma_window_interface, 13, id);
    wl_resource_set_implementation(resource, &kRequests, this, nullptr);
    const auto window = Find(uuid);
    if (window == windows_.end()) return org_kde_plasma_window_send_unmapped(resource);
    window->resource = resource;
    org_kde_plasma_window_send_app_id_changed(resource, ("app of " + uuid).c_str());
    org_kde_plasma_window_send_title_changed(resource, "a secret");
    org_kde_plasma_window_send_state_changed(resource, window->states);
  }

  std::list<Window>::iterator Find(const std::string& uuid) {
    return std::ranges::find(windows_, uuid, &Window::uuid);
  }

  // All of it belongs to the thread once that runs.
  wl_resource* manager_ = nullptr;
  std::list<Window> windows_;
  int followed_ = 0;
};

class KdeWindows : public ::testing::Test {
 protected:
  void Open() {
    auto source = NewWaylandFullScreenSource(*loop_, path_);
    ASSERT_TRUE(source.has_value()) << source.error().message;
    source_ = *std::move(source);
    signal_ = source_->Read();
    source_->OnChange([this] { signal_ = source_->Read(); });
  }
  // Told by the source of its own accord.
  bool AwaitActive(bool active) {
    return RunUntil(*loop_, [&] { return signal_.known && signal_.active == active; });
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/kwin";
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<SessionSignalSource> source_;
  SessionSignal signal_;
};

TEST_F(KdeWindows, OneThatCoversTheScreenAndHasTheKeyboardCounts) {
  PlayedKWin kwin(path_);
  kwin.Show("film", kFullScreen);
  kwin.Show("editor", kActive);
  Open();
  EXPECT_TRUE(signal_.known);
  EXPECT_FALSE(signal_.active) << "the film plays on another screen";
  kwin.SetStates("film", kFullScreen | kActive);
  EXPECT_TRUE(AwaitActive(true));
  EXPECT_EQ(signal_.detail, "app of film") << "never its title";
  kwin.SetStates("film", kFullScreen | kActive | kMinimized);
  EXPECT_TRUE(AwaitActive(false));
  kwin.Show("game", kFullScreen | kActive);
  EXPECT_TRUE(AwaitActive(true));
  kwin.Close("game");
  EXPECT_TRUE(AwaitActive(false));
}

TEST_F(KdeWindows, MoreThanTheLimitAreNotFollowed) {
  PlayedKWin kwin(path_);
  for (int i = 0; i < 300; ++i) kwin.Show(std::to_string(i), i == 255 ? kFullScreen | kActive : 0);
  Open();
  EXPECT_TRUE(signal_.active) << "the last of those that are";
  EXPECT_EQ(kwin.followed(), 256);
  kwin.Close("0");
  kwin.Show("late", kFullScreen | kActive);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return kwin.followed() == 257; })) << "there is room again";
}

TEST_F(KdeWindows, FloodIsCutOff) {
  PlayedKWin kwin(path_);
  kwin.Show("film", 0);
  Open();
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    if (signal_.known) kwin.Flood("film", 2'500);
    return !signal_.known;
  }));
  EXPECT_THAT(signal_.detail, HasSubstr("sends more than 4096 events in one second"));
}

TEST_F(KdeWindows, ProtocolErrorEndsTheConnectionAndIsNamed) {
  PlayedKWin kwin(path_);
  Open();
  kwin.Complain();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return !signal_.known; }));
  EXPECT_THAT(signal_.detail, HasSubstr("protocol error 7"));
}

TEST_F(KdeWindows, DeathOfTheCompositorIsNoticed) {
  auto kwin = std::make_unique<PlayedKWin>(path_);
  Open();
  kwin = nullptr;
  EXPECT_TRUE(RunUntil(*loop_, [&] { return !signal_.known; }));
  EXPECT_THAT(signal_.detail, HasSubstr("has ended"));
}

TEST_F(KdeWindows, HangingCompositorCostsABoundedWait) {
  PlayedKWin kwin(path_);
  kwin.WhileHanging([&] {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(NewWaylandFullScreenSource(*loop_, path_).has_value());
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5'000));
  });
}

TEST_F(KdeWindows, VersionThatCannotBeAskedIsNotAsked) {
  PlayedKWin kwin(path_, /*version=*/12);
  const auto source = NewWaylandFullScreenSource(*loop_, path_);
  ASSERT_FALSE(source.has_value());
  EXPECT_THAT(source.error().message, HasSubstr("org_kde_plasma_window_management version 13"));
}

// A compositor with one global of its own, by which it is known.
class PlayedStranger : public PlayedWaylandServer {
 public:
  PlayedStranger(const std::string& path, const char* interface)
      : PlayedWaylandServer(path), interface_{.name = interface, .version = 1} {
    wl_global_create(display(), &interface_, 1, nullptr,
                     [](wl_client*, void*, std::uint32_t, std::uint32_t) {});
    Run();
  }
  ~PlayedStranger() { End(); }
  PlayedStranger(const PlayedStranger&) = delete;
  PlayedStranger& operator=(const PlayedStranger&) = delete;

 private:
  const wl_interface interface_;
};

TEST(SilentCompositor, IsNamed) {
  const TemporaryFolder folder;
  const auto loop = NewMainLoop();
  const std::pair<const char*, const char*> cases[] = {
      {"gtk_shell1", "GNOME's compositor, or one made from it, tells no program"},
      {"org_kde_plasma_shell", "install fallow-session.desktop"},
      {"weston_desktop_shell", "lacks zwlr_foreign_toplevel_manager_v1 version 2 or org_kde"}};
  for (const auto& [interface, reason] : cases) {
    const std::string path = folder.path() + "/" + interface;
    const PlayedStranger compositor(path, interface);
    const auto source = NewWaylandFullScreenSource(*loop, path);
    ASSERT_FALSE(source.has_value());
    EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(source.error().message, HasSubstr(reason));
  }
}

}  // namespace
}  // namespace fallow
