// A full-screen program by what window managers tell of the active window (EWMH).
#include <fmt/format.h>
#include <xcb/xcb.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "platform/linux/event_allowance.h"
#include "platform/linux/foreign_text.h"
#include "platform/linux/x11_connection.h"
#include "platform/session_signals.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

// A window's states and types: no window has more.
constexpr std::uint32_t kMaxAtoms = 64;
constexpr std::uint32_t kMaxClassWords = 64;
constexpr std::uint32_t kMaxWindows = 4'096;
// A title that a program changes all the time is far below.
constexpr int kMaxEventsPerSecond = 2'000;
// For how long a server that did not answer, or flooded us, is left alone.
constexpr std::chrono::milliseconds kRetry{5'000};

enum Name : std::size_t {
  kActiveWindow,
  kStacking,
  kState,
  kFullScreen,
  kHidden,
  kType,
  kDesktop,
  kDock,
  kNames,
};
constexpr std::array<std::string_view, kNames> kAtomNames = {
    "_NET_ACTIVE_WINDOW",          "_NET_CLIENT_LIST_STACKING", "_NET_WM_STATE",
    "_NET_WM_STATE_FULLSCREEN",    "_NET_WM_STATE_HIDDEN",      "_NET_WM_WINDOW_TYPE",
    "_NET_WM_WINDOW_TYPE_DESKTOP", "_NET_WM_WINDOW_TYPE_DOCK",
};
using Atoms = std::array<xcb_atom_t, kNames>;

// A property's value; null if the question failed. A window without it has one of length 0.
using Property = X11Reply<xcb_get_property_reply_t>;

std::span<const std::uint32_t> Words(const Property& property) {
  if (property->format != 32) return {};
  return {static_cast<const std::uint32_t*>(xcb_get_property_value(property.get())),
          property->value_len};
}

// The second of WM_CLASS's two names, each of which ends with a zero: "Firefox".
std::string ProgramOf(const Property& property) {
  const std::string_view text(
      static_cast<const char*>(xcb_get_property_value(property.get())),
      static_cast<std::size_t>(xcb_get_property_value_length(property.get())));
  const auto first_end = text.find('\0');
  const std::string_view second =
      first_end == std::string_view::npos ? text : text.substr(first_end + 1);
  const std::string_view name = second.substr(0, second.find('\0'));
  return name.empty() ? "a window without a name" : ForeignText(name);
}

struct Sight {
  bool full_screen = false;
  std::string program;
};

class X11FullScreenSource : public SessionSignalSource {
 public:
  X11FullScreenSource(Loop& loop, std::string display) : loop_(loop), display_(std::move(display)) {
    signal_.source = name();
  }

  std::string name() const override { return "x11 " + display_; }
  SessionSignalKind kind() const override { return SessionSignalKind::kFullScreen; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(
        X11Connection connection,
        X11Connection::Open(display_, [this](const X11Connection& made) { return Learn(made); }));
    connection_ = std::move(connection);
    watched_window_ = XCB_WINDOW_NONE;
    Listen(connection_->root(), XCB_EVENT_MASK_PROPERTY_CHANGE);
    watch_ = WatchDescriptor(loop_, connection_->descriptor(), [this] {
      const bool known = !changed_;
      TakeEvents();
      if (known && changed_) Tell();
    });
    return {};
  }

  SessionSignal Read() override {
    TakeEvents();
    if (!changed_ || retry_ != nullptr) return signal_;
    signal_ = {.kind = kind(), .source = name(), .known = false, .active = false, .detail = {}};
    auto sight = Look();
    if (sight) {
      signal_.known = true;
      signal_.active = sight->full_screen;
      signal_.detail = std::move(sight->program);
    } else {
      signal_.detail = std::move(sight).error().message;
    }
    return signal_;
  }

  bool OnChange(std::function<void()> on_change) override {
    on_change_ = std::move(on_change);
    return true;
  }

 private:
  // The atoms' numbers on this server.
  Status Learn(const X11Connection& connection) {
    X11Questions ask(connection);
    for (std::size_t i = 0; i < kNames; ++i) {
      const auto cookie =
          xcb_intern_atom(connection.get(), 0, static_cast<std::uint16_t>(kAtomNames[i].size()),
                          kAtomNames[i].data());
      const auto reply = ask.Await<xcb_intern_atom_reply_t>(cookie.sequence);
      if (reply == nullptr) return NoAnswer();
      atoms_[i] = reply->atom;
    }
    return {};
  }

  std::unexpected<Error> NoAnswer() const {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the X server at {} does not answer", display_));
  }

  Result<Sight> Look() {
    if (!connection_) {
      if (auto opened = Open(); !opened) {
        Lose();
        return std::unexpected(std::move(opened).error());
      }
    }
    // Before the questions: what changes after the answers marks it.
    changed_ = false;
    X11Questions ask(*connection_);
    const auto active = ActiveWindow(ask);
    if (active && *active) Watch(**active);
    const auto fills = active && *active ? FillsScreen(ask, **active) : std::nullopt;
    auto program = fills && *fills ? Program(ask, **active) : std::optional<std::string>("");
    // A window's questions go unanswered when it has gone; the root's only when the server hangs.
    const bool answers = active && (fills || ActiveWindow(ask));
    if (!answers) {
      Lose();
      return NoAnswer();
    }
    // Answers bring events along, which then wake nobody.
    TakeEvents();
    // A name that was too late is asked for again.
    changed_ = changed_ || !program;
    if (changed_) TellSoon();
    if (!*active) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("no window manager on {} tells which window is active", display_));
    }
    return Sight{.full_screen = fills.value_or(false), .program = std::move(program).value_or("")};
  }

  // None: no answer. No window: no window manager tells. XCB_WINDOW_NONE: none is active.
  std::optional<std::optional<xcb_window_t>> ActiveWindow(X11Questions& ask) {
    const auto property = Get(ask, connection_->root(), atoms_[kActiveWindow], XCB_ATOM_WINDOW, 1);
    if (property == nullptr) return std::nullopt;
    const auto windows = Words(property);
    by_stacking_ = windows.empty();
    return by_stacking_ ? TopWindow(ask) : windows[0];
  }

  // Mutter names no active window before one gets the keyboard for the first time, and gives it to
  // none that was there before it: a game that starts XWayland may fill the screen all the same.
  std::optional<std::optional<xcb_window_t>> TopWindow(X11Questions& ask) const {
    const auto property =
        Get(ask, connection_->root(), atoms_[kStacking], XCB_ATOM_WINDOW, kMaxWindows);
    if (property == nullptr) return std::nullopt;
    if (property->type != XCB_ATOM_WINDOW) return std::optional<xcb_window_t>();
    const auto windows = Words(property);  // from the bottom up
    return windows.empty() ? xcb_window_t{XCB_WINDOW_NONE} : windows.back();
  }

  // Whether `window` covers the screen for its user. None: no answer, or it has gone.
  std::optional<bool> FillsScreen(X11Questions& ask, xcb_window_t window) const {
    if (window == XCB_WINDOW_NONE) return false;
    const auto state = Get(ask, window, atoms_[kState], XCB_ATOM_ATOM, kMaxAtoms);
    const auto type = Get(ask, window, atoms_[kType], XCB_ATOM_ATOM, kMaxAtoms);
    if (state == nullptr || type == nullptr) return std::nullopt;
    // A desktop and its panels may cover the screen while nobody uses it. A minimized window stays
    // where it was in the stack.
    return Has(state, kFullScreen) && !Has(state, kHidden) && !Has(type, kDesktop) &&
           !Has(type, kDock);
  }

  // None: no answer in time, or it has gone.
  std::optional<std::string> Program(X11Questions& ask, xcb_window_t window) const {
    const auto name = Get(ask, window, XCB_ATOM_WM_CLASS, XCB_ATOM_STRING, kMaxClassWords);
    if (name == nullptr) return std::nullopt;
    return ProgramOf(name);
  }

  Property Get(X11Questions& ask, xcb_window_t window, xcb_atom_t name, xcb_atom_t type,
               std::uint32_t max_words) const {
    const auto cookie = xcb_get_property(connection_->get(), 0, window, name, type, 0, max_words);
    return ask.Await<xcb_get_property_reply_t>(cookie.sequence);
  }

  bool Has(const Property& property, Name name) const {
    return std::ranges::count(Words(property), atoms_[name]) != 0;
  }

  void Watch(xcb_window_t window) {
    if (window == watched_window_) return;
    if (watched_window_ != XCB_WINDOW_NONE) Listen(watched_window_, XCB_EVENT_MASK_NO_EVENT);
    watched_window_ = window;
    // Its end too: a window manager that has crashed does not tell it.
    if (window != XCB_WINDOW_NONE)
      Listen(window, XCB_EVENT_MASK_PROPERTY_CHANGE | XCB_EVENT_MASK_STRUCTURE_NOTIFY);
  }

  // Each program hears of a window what it asked for: this takes nothing from others.
  void Listen(xcb_window_t window, std::uint32_t events) {
    xcb_change_window_attributes(connection_->get(), window, XCB_CW_EVENT_MASK, &events);
    xcb_flush(connection_->get());
  }

  void TakeEvents() {
    if (!connection_) return;
    int taken = 0;
    while (taken <= kMaxEventsPerSecond) {
      const XEvent event(xcb_poll_for_event(connection_->get()));
      if (event == nullptr) break;
      ++taken;
      Take(*event);
    }
    if (!allowance_.Take(taken, std::chrono::steady_clock::now())) {
      signal_.known = signal_.active = false;
      signal_.detail = fmt::format("{} sends more than {} events a second", display_,
                                   allowance_.max_events_per_second());
      Lose();
    } else if (connection_->broken()) {
      Drop();
    }
  }
  using XEvent =
      std::unique_ptr<xcb_generic_event_t, decltype([](void* event) { std::free(event); })>;

  void Take(const xcb_generic_event_t& event) {
    switch (event.response_type & 0x7f) {
      case XCB_PROPERTY_NOTIFY:
        return Take(reinterpret_cast<const xcb_property_notify_event_t&>(event));
      case XCB_UNMAP_NOTIFY:
      case XCB_DESTROY_NOTIFY:
        changed_ = true;
    }
  }
  void Take(const xcb_property_notify_event_t& notice) {
    const bool of_interest = notice.window == watched_window_
                                 ? notice.atom == atoms_[kState] || notice.atom == atoms_[kType]
                                 : notice.atom == atoms_[kActiveWindow] ||
                                       (notice.atom == atoms_[kStacking] && by_stacking_);
    changed_ = changed_ || of_interest;
  }

  void Drop() {
    watch_ = nullptr;
    connection_.reset();
    changed_ = true;
  }
  // Drops it, and leaves the server alone for a while.
  void Lose() {
    Drop();
    retry_ = loop_.After(kRetry, [this] {
      const std::unique_ptr<Timer> ended = std::move(retry_);
      Tell();
    });
  }

  void TellSoon() {
    loop_.Post([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) Tell();
    });
  }
  void Tell() {
    if (const auto tell = on_change_) tell();  // a copy: it may set another
  }

  Loop& loop_;
  const std::string display_;
  std::function<void()> on_change_;
  Atoms atoms_{};
  std::optional<X11Connection> connection_;
  std::unique_ptr<DescriptorWatch> watch_;  // of the connection
  xcb_window_t watched_window_ = XCB_WINDOW_NONE;
  EventAllowance allowance_{kMaxEventsPerSecond};
  SessionSignal signal_;  // as last read
  bool changed_ = true;   // since then
  bool by_stacking_ = false;
  std::unique_ptr<Timer> retry_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // posted calls look here first
};

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewX11FullScreenSource(Loop& loop,
                                                                    const std::string& display) {
  auto source = std::make_unique<X11FullScreenSource>(loop, display);
  FALLOW_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace fallow
