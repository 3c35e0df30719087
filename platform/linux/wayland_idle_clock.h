// A Wayland compositor's idle clock, by whichever of two protocols it offers. For files of
// platform/linux alone.
//
// Threading: as the connection's listeners.
#pragma once

#include <wayland-client.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace fallow {

class WaylandIdleClock {
 public:
  // One seat's; ends with its destruction.
  class Notice {
   public:
    virtual ~Notice() = default;
  };
  enum class Seat : std::uint8_t { kInUse, kIdle };

  virtual ~WaylandIdleClock() = default;
  virtual std::string_view protocol() const = 0;
  // `on_change(kIdle)` once there was no input on `seat`, and no program that asked for the screen
  // to stay on, for `after`; `on_change(kInUse)` at the next. At first a seat is in use.
  virtual std::unique_ptr<Notice> Watch(wl_seat* seat, std::chrono::milliseconds after,
                                        std::function<void(Seat)> on_change) = 0;
};

// The better of two clocks has the higher rank; 0: not an idle clock.
int RankOfIdleClock(std::string_view interface);
// `interface` has a rank; `name` is the global's.
std::unique_ptr<WaylandIdleClock> BindIdleClock(wl_registry* registry, std::uint32_t name,
                                                std::string_view interface);

}  // namespace fallow
