// How long the seats of a Wayland compositor have been idle. For files of platform/linux alone.
//
// Threading: one thread; things change inside the connection's Roundtrip and Dispatch.
#pragma once

#include <wayland-client.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "platform/linux/wayland_connection.h"
#include "platform/linux/wayland_idle_clock.h"

namespace fallow {

class WaylandIdleSeats {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // After so long without input a seat counts as idle: until then we cannot wait for its next
  // input, which nothing would tell. Shorter: an owner who pauses at the keyboard makes the
  // compositor send more. Policies wait for a minute and more.
  static constexpr std::chrono::milliseconds kIdleAfter{2'000};
  static constexpr std::size_t kMaxSeats = 16;

  // kUnavailable, with the reason, if nobody serves `display`, answers in time or has an idle
  // clock; as WaylandConnection.
  static Result<std::unique_ptr<WaylandIdleSeats>> Open(const std::string& display);
  WaylandIdleSeats(const WaylandIdleSeats&) = delete;
  WaylandIdleSeats& operator=(const WaylandIdleSeats&) = delete;

  WaylandConnection& connection() { return *connection_; }
  // The seat that was used last counts. Zero if one is in use. kUnavailable if it cannot be told.
  Result<std::chrono::milliseconds> IdleFor(Time now) const;
  // Since the last call a seat was used, or seats came or went, which may hide its use.
  bool TakeInput();
  // "1 seat, ext_idle_notifier_v1"
  std::string Describe() const;

 private:
  struct Destroy {
    void operator()(wl_registry* registry) const { wl_registry_destroy(registry); }
    void operator()(wl_seat* seat) const { wl_seat_destroy(seat); }
  };
  struct Seat {
    std::uint32_t name = 0;  // of its global
    std::unique_ptr<wl_seat, Destroy> seat;
    std::optional<Time> idle_since;  // none: in use
    std::unique_ptr<WaylandIdleClock::Notice> notice;
  };

  explicit WaylandIdleSeats(std::string display) : display_(std::move(display)) {}
  Status Greet();
  void OnGlobal(std::uint32_t name, std::string_view interface);
  void OnGlobalRemoved(std::uint32_t name);
  void Watch(Seat& seat);

  std::string display_;
  // Objects go before their connection.
  std::unique_ptr<WaylandConnection> connection_;
  std::unique_ptr<wl_registry, Destroy> registry_;
  std::string clock_interface_;  // the best seen before it is bound
  std::uint32_t clock_name_ = 0;
  std::unique_ptr<WaylandIdleClock> clock_;
  std::list<Seat> seats_;  // a list: listeners keep their seat's place
  bool too_many_seats_ = false;
  bool input_ = false;
};

}  // namespace fallow
