// Whether the owner is at the machine.
//
// "In use" is the default: a source that cannot tell says so, and the idle policy then counts the machine as in use.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

// What one source knows at one moment.
struct PresenceReading {
  std::string source;                                 // "x11 :0", "logind"
  bool known = false;                                 // false: it cannot tell
  std::chrono::milliseconds idle_for{0};              // since the last input; valid if known
  std::string detail;                                 // "session 2 of anna on seat0"; or why it cannot tell
};

class PresenceSource {
 public:
  virtual ~PresenceSource() = default;
  virtual std::string name() const = 0;
  // Never blocks for long: a source that talks to a server does so with a bounded wait (200 ms).
  virtual PresenceReading Read() = 0;
};

// The X11 screen-saver extension on `display` (":0"). Refuses XWayland. kUnavailable, with the reason, if there is no
// server or no extension.
Result<std::unique_ptr<PresenceSource>> NewX11PresenceSource(const std::string& display);
// systemd-logind's sessions over the system bus: the least idle one counts; remote sessions count as use.
Result<std::unique_ptr<PresenceSource>> NewLogindPresenceSource();

}  // namespace fallow
