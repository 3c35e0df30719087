// A full-screen program by what compositors of the wlroots family tell of their windows.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "generated/wayland/wlr_foreign_toplevel_client.h"
#include "platform/linux/foreign_text.h"
#include "platform/linux/wayland_connection.h"
#include "platform/session_signals.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

// For how long a compositor that ended, did not answer or flooded us is left alone.
constexpr std::chrono::milliseconds kRetry{5'000};
// More are not looked at.
constexpr std::size_t kMaxWindows = 256;
// The first version that tells of full screen.
constexpr std::uint32_t kManagerVersion = 2;

using Handle = zwlr_foreign_toplevel_handle_v1;
using Manager = zwlr_foreign_toplevel_manager_v1;

// What the compositor told of a window.
struct Window {
  Handle* handle = nullptr;
  std::string program;
  bool has_focus = false;
  bool covers_screen = false;
};

// The windows of one connection.
class Windows {
 public:
  static Result<std::unique_ptr<Windows>> Open(const std::string& display) {
    FALLOW_ASSIGN_OR_RETURN(auto connection, WaylandConnection::Open(display));
    std::unique_ptr<Windows> windows(new Windows(std::move(connection)));
    FALLOW_RETURN_IF_ERROR(windows->Begin(display));
    return windows;
  }
  ~Windows() {
    for (const Window& window : windows_) zwlr_foreign_toplevel_handle_v1_destroy(window.handle);
    if (manager_ != nullptr) zwlr_foreign_toplevel_manager_v1_destroy(manager_);
    if (registry_ != nullptr) wl_registry_destroy(registry_);
  }
  Windows(const Windows&) = delete;
  Windows& operator=(const Windows&) = delete;

  int descriptor() const { return connection_->descriptor(); }
  // Takes what has arrived, without waiting. An error: the connection is of no use.
  Status Take() { return connection_->Dispatch(); }

  // The one that covers the screen and has the keyboard; null if none does.
  const Window* FullScreen() const {
    const auto found = std::ranges::find_if(
        windows_, [](const Window& window) { return window.covers_screen && window.has_focus; });
    return found == windows_.end() ? nullptr : &*found;
  }

 private:
  explicit Windows(std::unique_ptr<WaylandConnection> connection)
      : connection_(std::move(connection)) {}

  Status Begin(const std::string& display) {
    static constexpr wl_registry_listener kListener = {
        .global =
            [](void* self, wl_registry*, std::uint32_t number, const char* interface,
               std::uint32_t version) {
              static_cast<Windows*>(self)->See(number, interface, version);
            },
        .global_remove = [](void*, wl_registry*, std::uint32_t) {},
    };
    registry_ = wl_display_get_registry(connection_->get());
    wl_registry_add_listener(registry_, &kListener, this);
    FALLOW_RETURN_IF_ERROR(connection_->Roundtrip());
    if (manager_ == nullptr) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("the compositor at {} lacks {} version {}", display,
                              zwlr_foreign_toplevel_manager_v1_interface.name, kManagerVersion));
    }
    return connection_->Roundtrip();  // the windows that are there
  }

  void See(std::uint32_t number, std::string_view interface, std::uint32_t version) {
    if (manager_ != nullptr || version < kManagerVersion ||
        interface != zwlr_foreign_toplevel_manager_v1_interface.name) {
      return;
    }
    static constexpr zwlr_foreign_toplevel_manager_v1_listener kListener = {
        .toplevel = [](void* self, Manager*,
                       Handle* handle) { static_cast<Windows*>(self)->Add(handle); },
        .finished = [](void*, Manager*) {},
    };
    manager_ = static_cast<Manager*>(wl_registry_bind(
        registry_, number, &zwlr_foreign_toplevel_manager_v1_interface, kManagerVersion));
    zwlr_foreign_toplevel_manager_v1_add_listener(manager_, &kListener, this);
  }

  void Add(Handle* handle) {
    if (windows_.size() == kMaxWindows) return zwlr_foreign_toplevel_handle_v1_destroy(handle);
    static constexpr zwlr_foreign_toplevel_handle_v1_listener kListener = {
        .title = [](void*, Handle*, const char*) {},
        .app_id =
            [](void* self, Handle* of, const char* name) {
              static_cast<Windows*>(self)->Find(of)->program = ForeignText(name);
            },
        .output_enter = [](void*, Handle*, wl_output*) {},
        .output_leave = [](void*, Handle*, wl_output*) {},
        .state =
            [](void* self, Handle* of, wl_array* states) {
              SetStates(*static_cast<Windows*>(self)->Find(of), *states);
            },
        .done = [](void*, Handle*) {},
        .closed = [](void* self, Handle* of) { static_cast<Windows*>(self)->Remove(of); },
    };
    windows_.push_back({.handle = handle, .program = {}});
    zwlr_foreign_toplevel_handle_v1_add_listener(handle, &kListener, this);
  }

  static void SetStates(Window& window, const wl_array& states) {
    window.has_focus = window.covers_screen = false;
    const auto* state = static_cast<const std::uint32_t*>(states.data);
    for (std::size_t i = 0; i < states.size / sizeof(std::uint32_t); ++i) {
      if (state[i] == ZWLR_FOREIGN_TOPLEVEL_HANDLE_V1_STATE_ACTIVATED) window.has_focus = true;
      if (state[i] == ZWLR_FOREIGN_TOPLEVEL_HANDLE_V1_STATE_FULLSCREEN) window.covers_screen = true;
    }
  }

  // A window that is there: those we let go tell nothing more.
  std::vector<Window>::iterator Find(Handle* handle) {
    return std::ranges::find(windows_, handle, &Window::handle);
  }

  void Remove(Handle* handle) {
    windows_.erase(Find(handle));
    zwlr_foreign_toplevel_handle_v1_destroy(handle);
  }

  const std::unique_ptr<WaylandConnection> connection_;
  wl_registry* registry_ = nullptr;
  Manager* manager_ = nullptr;
  std::vector<Window> windows_;
};

class WaylandFullScreenSource : public SessionSignalSource {
 public:
  WaylandFullScreenSource(Loop& loop, std::string display)
      : loop_(loop), display_(std::move(display)) {}

  std::string name() const override { return "wayland " + display_; }
  SessionSignalKind kind() const override { return SessionSignalKind::kFullScreen; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(windows_, Windows::Open(display_));
    watch_ = WatchDescriptor(loop_, windows_->descriptor(), [this] {
      const SessionSignal before = signal_;
      Take();
      if (signal_ != before) Tell();
    });
    return {};
  }

  SessionSignal Read() override {
    if (windows_ == nullptr && retry_ == nullptr) {
      if (const Status opened = Open(); !opened) Lose(opened.error().message);
    }
    Take();
    return signal_;
  }

  bool OnChange(std::function<void()> on_change) override {
    on_change_ = std::move(on_change);
    return true;
  }

 private:
  void Take() {
    const Status taken = windows_ != nullptr ? windows_->Take() : Status();
    if (!taken) Lose(taken.error().message);
    const Window* window = windows_ != nullptr ? windows_->FullScreen() : nullptr;
    signal_ = {.kind = kind(),
               .source = name(),
               .known = windows_ != nullptr,
               .active = window != nullptr,
               .detail = windows_ != nullptr ? "" : trouble_};
    if (window != nullptr)
      signal_.detail = window->program.empty() ? "a window without a name" : window->program;
  }

  void Lose(std::string why) {
    trouble_ = std::move(why);
    watch_ = nullptr;
    windows_ = nullptr;
    retry_ = loop_.After(kRetry, [this] {
      const std::unique_ptr<Timer> ended = std::move(retry_);
      Tell();
    });
  }

  void Tell() {
    if (const auto tell = on_change_) tell();  // a copy: it may set another
  }

  Loop& loop_;
  const std::string display_;
  std::function<void()> on_change_;
  std::unique_ptr<Windows> windows_;  // null: lost, for the reason in trouble_
  std::unique_ptr<DescriptorWatch> watch_;
  std::string trouble_;
  SessionSignal signal_;  // as last taken
  std::unique_ptr<Timer> retry_;
};

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewWaylandFullScreenSource(
    Loop& loop, const std::string& display) {
  auto source = std::make_unique<WaylandFullScreenSource>(loop, display);
  if (auto opened = source->Open(); !opened)
    return Fail(ErrorCode::kUnavailable, std::move(opened).error().message);
  return source;
}

}  // namespace fallow
