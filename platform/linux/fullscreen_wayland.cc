// A full-screen program by what Wayland compositors tell of their windows.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <utility>

#include "platform/linux/wayland_connection.h"
#include "platform/linux/wayland_windows.h"
#include "platform/session_signals.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

// For how long a compositor that ended, did not answer or flooded us is left alone.
constexpr std::chrono::milliseconds kRetry{5'000};
// At first KWin says some twelve things of each window.
constexpr int kMaxEventsPerSecond = 16 * static_cast<int>(WaylandWindows::kMaxWindows);

// What other compositors offer to everybody, by which we know them.
constexpr std::string_view kOfKWin = "org_kde_plasma_shell";
constexpr std::string_view kOfMutter = "gtk_shell1";

// The windows of one connection.
class WindowFeed {
 public:
  static Result<std::unique_ptr<WindowFeed>> Open(const std::string& display) {
    FALLOW_ASSIGN_OR_RETURN(auto connection, WaylandConnection::Open(display, kMaxEventsPerSecond));
    std::unique_ptr<WindowFeed> feed(new WindowFeed(std::move(connection)));
    FALLOW_RETURN_IF_ERROR(feed->Begin(display));
    return feed;
  }

  int descriptor() const { return connection_->descriptor(); }
  // Takes what has arrived, without waiting. An error: the connection is of no use.
  Status Take() { return connection_->Dispatch(); }
  const WaylandWindow* FullScreen() const { return windows_->FullScreen(); }

 private:
  explicit WindowFeed(std::unique_ptr<WaylandConnection> connection)
      : connection_(std::move(connection)) {}

  Status Begin(const std::string& display) {
    static constexpr wl_registry_listener kListener = {
        .global =
            [](void* self, wl_registry*, std::uint32_t number, const char* interface,
               std::uint32_t version) {
              static_cast<WindowFeed*>(self)->See(number, interface, version);
            },
        .global_remove = [](void*, wl_registry*, std::uint32_t) {},
    };
    registry_.reset(wl_display_get_registry(connection_->get()));
    wl_registry_add_listener(registry_.get(), &kListener, this);
    FALLOW_RETURN_IF_ERROR(connection_->Roundtrip());
    if (windows_ == nullptr) return Fail(ErrorCode::kUnavailable, WhyNone(display));
    FALLOW_RETURN_IF_ERROR(connection_->Roundtrip());  // the windows that are there
    return connection_->Roundtrip();                   // what is known of them
  }

  void See(std::uint32_t number, std::string_view interface, std::uint32_t version) {
    is_kwin_ = is_kwin_ || interface == kOfKWin;
    is_mutter_ = is_mutter_ || interface == kOfMutter;
    if (windows_ == nullptr && ListsWindows(interface, version))
      windows_ = BindWindows(registry_.get(), number, interface);
  }

  std::string WhyNone(const std::string& display) const {
    if (is_kwin_) {
      return "KWin tells of windows to none but programs whose .desktop file asks for it: install "
             "fallow-session.desktop, with the full path of fallow-session in Exec";
    }
    if (is_mutter_) {
      return "GNOME's compositor, or one made from it, tells no program which window fills the "
             "screen";
    }
    return fmt::format("the compositor at {} lacks {}", display, WindowListNames());
  }

  struct Destroy {
    void operator()(wl_registry* registry) const { wl_registry_destroy(registry); }
  };
  // Objects go before their connection.
  const std::unique_ptr<WaylandConnection> connection_;
  std::unique_ptr<wl_registry, Destroy> registry_;
  std::unique_ptr<WaylandWindows> windows_;
  bool is_kwin_ = false;
  bool is_mutter_ = false;
};

class WaylandFullScreenSource : public SessionSignalSource {
 public:
  WaylandFullScreenSource(Loop& loop, std::string display)
      : loop_(loop), display_(std::move(display)) {}

  std::string name() const override { return "wayland " + display_; }
  SessionSignalKind kind() const override { return SessionSignalKind::kFullScreen; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(feed_, WindowFeed::Open(display_));
    watch_ = WatchDescriptor(loop_, feed_->descriptor(), [this] {
      const SessionSignal before = signal_;
      Take();
      if (signal_ != before) Tell();
    });
    return {};
  }

  SessionSignal Read() override {
    if (feed_ == nullptr && retry_ == nullptr) {
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
    const Status taken = feed_ != nullptr ? feed_->Take() : Status();
    if (!taken) Lose(taken.error().message);
    const WaylandWindow* window = feed_ != nullptr ? feed_->FullScreen() : nullptr;
    signal_ = {.kind = kind(),
               .source = name(),
               .known = feed_ != nullptr,
               .active = window != nullptr,
               .detail = feed_ != nullptr ? "" : trouble_};
    if (window != nullptr)
      signal_.detail = window->program.empty() ? "a window without a name" : window->program;
  }

  void Lose(std::string why) {
    trouble_ = std::move(why);
    watch_ = nullptr;
    feed_ = nullptr;
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
  std::unique_ptr<WindowFeed> feed_;  // null: lost, for the reason in trouble_
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
