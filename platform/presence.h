// Whether the owner is at the machine.
//
// "In use" is the default: a source that cannot tell says so, and the idle policy then counts the
// machine as in use.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

// What a reading is evidence of; each is a reason of its own to an owner.
enum class PresenceKind : std::uint8_t {
  kInput,       // keyboard, mouse, touch
  kGamepad,     // seen by no compositor's idle clock
  kRemote,      // somebody works here from another machine
  kDistrusted,  // a source whose word is not taken (silent, flooding, lying): counts as use
};
// What logs and programs see, in the order of the kinds.
inline constexpr std::array<std::string_view, 4> kPresenceKindNames = {"input", "gamepad", "remote",
                                                                       "distrusted"};
inline std::string_view NameOf(PresenceKind kind) {
  return kPresenceKindNames.at(static_cast<std::size_t>(kind));
}

// What one source knows at one moment.
struct PresenceReading {
  std::string source;                     // "x11 :0", "logind"
  bool known = false;                     // false: it cannot tell
  std::chrono::milliseconds idle_for{0};  // since the last input; valid if known
  std::string detail;                     // "session 2 of anna on seat0"; or why it cannot tell
  PresenceKind kind = PresenceKind::kInput;

  bool operator==(const PresenceReading&) const = default;
};

// Whether it says for how long nobody was here. A gamepad at rest tells nothing of the keyboard.
inline bool TellsOfPresence(const PresenceReading& reading) {
  return reading.known &&
         (reading.kind == PresenceKind::kInput || reading.kind == PresenceKind::kRemote);
}

class PresenceSource {
 public:
  virtual ~PresenceSource() = default;
  virtual std::string name() const = 0;
  // Never blocks for long: a source that talks to a server does so with a bounded wait (200 ms).
  virtual PresenceReading Read() = 0;
  // Calls `on_input` once, on the loop's thread and never from inside this call, within
  // milliseconds of the first input that neither a reading nor a call told of: what came between
  // the last Read and this call is not lost. Also when the source breaks, for what cannot be told
  // counts as use. A later call replaces an earlier one, an empty function ends the wait.
  // False: this source cannot, it must be read again and again.
  virtual bool AwaitInput(std::function<void()> on_input) {
    (void)on_input;
    return false;
  }
};

// The X11 screen-saver extension on `display` (":0"). Refuses XWayland. kUnavailable, with the
// reason, if there is no server or no extension.
//
// `loop`, here and below: a MainLoop that outlives the source, which wakes by the server's events.
Result<std::unique_ptr<PresenceSource>> NewX11PresenceSource(Loop& loop,
                                                             const std::string& display);
// A Wayland compositor's idle clock: ext_idle_notifier_v1 or, where it has none,
// org_kde_kwin_idle. `display` is $WAYLAND_DISPLAY: a name in $XDG_RUNTIME_DIR or a path. Input
// that a compositor holds back for an idle inhibitor counts as input. kUnavailable, with the
// reason, if there is no compositor or it offers neither.
Result<std::unique_ptr<PresenceSource>> NewWaylandPresenceSource(Loop& loop,
                                                                 const std::string& display);
// GNOME's org.gnome.Mutter.IdleMonitor on the session bus.
Result<std::unique_ptr<PresenceSource>> NewMutterPresenceSource(Loop& loop);

// The kernel's input devices, read directly: gamepads for a session helper (logind lets the user
// at the screen read those), everything for a daemon that may (group `input`).
struct EvdevOptions {
  std::string folder = "/dev/input";
  bool gamepads_only = false;
};
// kUnavailable if there is no such folder or device, kPermissionDenied if one may not be read: it
// could be the keyboard. With `gamepads_only` neither is an error, for most machines have no
// gamepad, and those that may not be read are none of the user's. Devices that come later are found
// by themselves. At first it is idle since it was opened; of gamepads, since the last one came, or
// the machine was started if there is none.
Result<std::unique_ptr<PresenceSource>> NewEvdevPresenceSource(Loop& loop, EvdevOptions options);
// systemd-logind's sessions over the system bus: the least idle one counts; remote sessions count
// as use. kUnavailable, with the reason, if there is no bus or no logind. One that answered and no
// longer does is of kind kDistrusted: it alone tells of logins that nobody else sees.
//
// Which sessions count, and what they prove (all that are not closing, but services: classes
// "background" and "manager"):
// - With a terminal: idle since the terminal was last used. Without one (a remote copy, say): in
// use while it lasts.
// - Graphical, and its desktop once said whether it is idle: idle since it says so, or else in use.
// - Graphical in the background of its seat: no input reaches it; it does not count unless it says
// it is idle.
// - Graphical in the foreground, and its desktop never said anything: many desktops never do. That
//   is no evidence of activity, but none of absence either: in use. Except where another source
//   sees its input (`seen_elsewhere`): then it is left to that one.
// - A console that shows graphics (X was started there by hand) or that we may not look at: its
//   terminal tells nothing. The same.
// - Locked sessions count like others: what is typed at a lock screen is input.
// - So do the login screens of this machine (class "greeter"), which some desktops lock by. One
//   that another machine is shown (XDMCP) does not count.
// If a session was left to another source, this one cannot tell (known = false), unless another
// session was used within 5 minutes, which proves use (idle_for = 0). No session that counts: it
// cannot tell, since logind does not see input at a login screen that has none.
//
// The reading tells of the least idle session that counts; it is of kind kRemote, with user and
// host in its detail, if that one is remote.
//
// It cannot wait for input, since logind does not tell when a terminal was used: it is read again
// and again.
//
// Whether another source sees the input of a login: a helper in the session, or one that reads all
// input devices. Asked at each Read, of logind's session id, the user, and what it is.
enum class LoginKind : std::uint8_t {
  kHere,         // at this machine
  kLoginScreen,  // of this machine
  kRemote,       // used from another
};
using SeenElsewhere =
    std::function<bool(const std::string& session, std::int64_t user_id, LoginKind kind)>;
Result<std::unique_ptr<PresenceSource>> NewLogindPresenceSource(
    Loop& loop, SeenElsewhere seen_elsewhere = nullptr);

}  // namespace fallow
