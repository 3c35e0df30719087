#include "platform/linux/wayland_idle_seats.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fallow {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Result<std::unique_ptr<WaylandIdleSeats>> WaylandIdleSeats::Open(const std::string& display) {
  std::unique_ptr<WaylandIdleSeats> seats(new WaylandIdleSeats(display));
  FALLOW_ASSIGN_OR_RETURN(seats->connection_, WaylandConnection::Open(display));
  if (Status greeted = seats->Greet(); !greeted) {
    // A server that does not greet is as good as none.
    if (greeted.error().code == ErrorCode::kDeadlineExceeded) {
      greeted.error().code = ErrorCode::kUnavailable;
    }
    return std::unexpected(std::move(greeted).error());
  }
  return seats;
}

// Learns the globals, then takes the clock and watches the seats by it.
Status WaylandIdleSeats::Greet() {
  static constexpr wl_registry_listener kListener = {
      .global =
          [](void* self, wl_registry*, std::uint32_t name, const char* interface, std::uint32_t) {
            static_cast<WaylandIdleSeats*>(self)->OnGlobal(name, interface);
          },
      .global_remove =
          [](void* self, wl_registry*, std::uint32_t name) {
            static_cast<WaylandIdleSeats*>(self)->OnGlobalRemoved(name);
          },
  };
  registry_.reset(wl_display_get_registry(connection_->get()));
  wl_registry_add_listener(registry_.get(), &kListener, this);
  FALLOW_RETURN_IF_ERROR(connection_->Roundtrip());
  if (clock_interface_.empty()) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the compositor at {} has no idle clock: neither ext_idle_notifier_v1 "
                            "nor org_kde_kwin_idle",
                            display_));
  }
  clock_ = BindIdleClock(registry_.get(), clock_name_, clock_interface_);
  for (Seat& seat : seats_) Watch(seat);
  FALLOW_RETURN_IF_ERROR(connection_->Roundtrip());
  input_ = false;
  return {};
}

void WaylandIdleSeats::OnGlobal(std::uint32_t name, std::string_view interface) {
  if (RankOfIdleClock(interface) > RankOfIdleClock(clock_interface_) && clock_ == nullptr) {
    clock_interface_ = interface;
    clock_name_ = name;
  }
  if (interface != wl_seat_interface.name) return;
  if (seats_.size() == kMaxSeats) {
    too_many_seats_ = true;
    return;
  }
  // Of a seat we want nothing but its identity.
  constexpr std::uint32_t kVersion = 1;
  auto* bound =
      static_cast<wl_seat*>(wl_registry_bind(registry_.get(), name, &wl_seat_interface, kVersion));
  Seat& seat = seats_.emplace_back();
  seat.name = name;
  seat.seat.reset(bound);
  if (clock_ != nullptr) Watch(seat);
  input_ = true;
}

void WaylandIdleSeats::OnGlobalRemoved(std::uint32_t name) {
  if (std::erase_if(seats_, [&](const Seat& seat) { return seat.name == name; }) > 0) input_ = true;
  if (name != clock_name_) return;
  // What it told so far holds no longer.
  clock_.reset();
  clock_interface_.clear();
  input_ = true;
}

void WaylandIdleSeats::Watch(Seat& seat) {
  seat.notice = clock_->Watch(seat.seat.get(), kIdleAfter, [this, &seat](auto state) {
    if (state == WaylandIdleClock::Seat::kIdle) {
      seat.idle_since = steady_clock::now() - kIdleAfter;
      return;
    }
    seat.idle_since.reset();
    input_ = true;
  });
}

Result<milliseconds> WaylandIdleSeats::IdleFor(Time now) const {
  const auto cannot = [&](std::string_view why) {
    return Fail(ErrorCode::kUnavailable, fmt::format("the compositor at {} {}", display_, why));
  };
  if (clock_ == nullptr) return cannot("withdrew its idle clock");
  if (too_many_seats_) return cannot(fmt::format("has more than {} seats", kMaxSeats));
  if (seats_.empty()) return cannot("has no seat");
  milliseconds idle_for = milliseconds::max();
  for (const Seat& seat : seats_) {
    const Time used = seat.idle_since.value_or(now);
    idle_for = std::min(idle_for, std::chrono::floor<milliseconds>(now - used));
  }
  return idle_for;
}

bool WaylandIdleSeats::TakeInput() {
  return std::exchange(input_, false);
}

std::string WaylandIdleSeats::Describe() const {
  return fmt::format("{} seat{}, {}", seats_.size(), seats_.size() == 1 ? "" : "s",
                     clock_->protocol());
}

}  // namespace fallow
