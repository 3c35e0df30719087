// How many events a server may send us: one that floods would make us the load on the machine.
#pragma once

#include <chrono>

namespace fallow {

class EventAllowance {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit EventAllowance(int max_events_per_second)
      : max_events_per_second_(max_events_per_second) {}

  // False once there are too many in one second.
  bool Take(int events, Time now) {
    if (now - second_began_ >= std::chrono::seconds(1)) {
      second_began_ = now;
      taken_ = 0;
    }
    taken_ += events;
    return taken_ <= max_events_per_second_;
  }
  int max_events_per_second() const { return max_events_per_second_; }

 private:
  int max_events_per_second_;
  int taken_ = 0;
  Time second_began_{};
};

}  // namespace fallow
