// Signs, other than input, that the owner uses the session: a full-screen program, a game, a
// program that keeps the screen awake (video, calls).
//
// They only add to presence: one that cannot tell proves nothing. Threading: the loop's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

enum class SessionSignalKind : std::uint8_t { kFullScreen, kGameMode, kIdleInhibitor };
// What logs and programs see, in the order of the kinds.
inline constexpr std::array<std::string_view, 3> kSessionSignalKindNames = {
    "full_screen", "game_mode", "idle_inhibitor"};
inline std::string_view NameOf(SessionSignalKind kind) {
  return kSessionSignalKindNames.at(static_cast<std::size_t>(kind));
}

struct SessionSignal {
  SessionSignalKind kind = SessionSignalKind::kFullScreen;
  std::string source;   // "x11 :0", "gamemode", "gnome session"
  bool known = false;   // false: it cannot tell
  bool active = false;  // valid if known
  std::string detail;   // "Firefox"; or why it cannot tell

  bool operator==(const SessionSignal&) const = default;
};

class SessionSignalSource {
 public:
  virtual ~SessionSignalSource() = default;
  virtual std::string name() const = 0;
  virtual SessionSignalKind kind() const = 0;
  virtual SessionSignal Read() = 0;  // waits for a server for 200 ms at most
  // Calls `on_change`, on the loop's thread, soon after what Read tells may have changed, until
  // replaced. False: this source must be read again and again.
  virtual bool OnChange(std::function<void()> on_change) {
    (void)on_change;
    return false;
  }
};

// Each is kUnavailable, with the reason, where its server or its bus is not there. `loop` is a
// MainLoop that outlives the source.
//
// The active window by EWMH (_NET_ACTIVE_WINDOW, _NET_WM_STATE_FULLSCREEN), or, where none was
// active yet, the top one, unless it is a desktop or its panel; XWayland is fine here: games run
// there.
Result<std::unique_ptr<SessionSignalSource>> NewX11FullScreenSource(Loop& loop,
                                                                    const std::string& display);
// The window with the keyboard by zwlr_foreign_toplevel_manager_v1, which wlroots compositors
// offer, or org_kde_plasma_window_management, which KWin offers to programs that a .desktop file
// asks it for (packaging/desktop). GNOME's compositor offers neither: the reason says so.
Result<std::unique_ptr<SessionSignalSource>> NewWaylandFullScreenSource(Loop& loop,
                                                                        const std::string& display);
// com.feralinteractive.GameMode on the session bus: ClientCount. Its daemon starts with the first
// game: while it is absent there is none.
Result<std::unique_ptr<SessionSignalSource>> NewGameModeSource(Loop& loop);
// On the session bus the first that is there of: org.gnome.SessionManager IsInhibited(8: idle), by
// which name MATE's and Cinnamon's session managers go too; KDE's PolicyAgent HasInhibition(4:
// keeps the screen on); Xfce's org.freedesktop.PowerManagement.Inhibit HasInhibit. A desktop that
// is not there is waited for: until then it cannot tell. Xfce's tells no changes, so it must be
// read again and again: what it said is told again while it is younger than `good_for`. A program
// that begins to keep the screen on was started by somebody, whose input counts for longer.
Result<std::unique_ptr<SessionSignalSource>> NewDesktopInhibitorSource(
    Loop& loop, std::chrono::milliseconds good_for = std::chrono::seconds(14));
// Programs that hold back an X11 server's own screen saver. The server tells nothing of changes, so
// it must be read again and again. To look costs the server a walk through all that its clients
// have: what was seen is told again while it is younger than `good_for`, as above.
Result<std::unique_ptr<SessionSignalSource>> NewX11InhibitorSource(
    const std::string& display, std::chrono::milliseconds good_for = std::chrono::seconds(14));
// logind's inhibitors of kind "idle" in mode "block", on the system bus; this process's own are
// left out.
Result<std::unique_ptr<SessionSignalSource>> NewLogindInhibitorSource(Loop& loop);

}  // namespace fallow
