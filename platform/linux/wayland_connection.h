// A connection to a Wayland compositor on which no wait is longer than kWaylandPatience. For files
// of platform/linux alone.
//
// Threading: one thread; listeners are called from inside Roundtrip and Dispatch. Objects made on
// it are destroyed before it.
#pragma once

#include <wayland-client.h>

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/linux/event_allowance.h"

namespace fallow {

// KWin reads a client's program before it greets it, which takes some 9 ms for each megabyte.
inline constexpr std::chrono::milliseconds kWaylandPatience{200};
// What a compositor may send us, unless we ask it for more. The start of a session with all its
// globals is about a hundred.
inline constexpr int kMaxWaylandEventsPerSecond = 1'000;

class WaylandConnection {
 public:
  // `display` is $WAYLAND_DISPLAY: a path, or a name in $XDG_RUNTIME_DIR. Nothing has been said on
  // it yet. kUnavailable, with the reason, if nobody listens there.
  static Result<std::unique_ptr<WaylandConnection>> Open(
      const std::string& display, int max_events_per_second = kMaxWaylandEventsPerSecond);
  ~WaylandConnection();
  WaylandConnection(const WaylandConnection&) = delete;
  WaylandConnection& operator=(const WaylandConnection&) = delete;

  wl_display* get() const { return display_; }
  int descriptor() const { return wl_display_get_fd(display_); }

  // Sends what was requested, and waits until the compositor has answered it.
  // kDeadlineExceeded: it does not answer for now, but may later. The connection is of no use after
  // the others: kUnavailable, it has ended or one of us broke the protocol; kResourceExhausted, it
  // floods us.
  Status Roundtrip();
  // Handles what has arrived, without waiting. Errors as above, but the first.
  Status Dispatch() { return Turn(std::chrono::milliseconds(0)); }

 private:
  WaylandConnection(std::string name, int max_events_per_second)
      : name_(std::move(name)), allowance_(max_events_per_second) {}
  Status Turn(std::chrono::milliseconds patience);
  Status DispatchQueued();
  std::unexpected<Error> Broken() const;

  std::string name_;
  wl_display* display_ = nullptr;
  wl_callback* asked_ = nullptr;  // the question of an unfinished round trip
  EventAllowance allowance_;
};

}  // namespace fallow
