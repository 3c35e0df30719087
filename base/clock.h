// Time as a seam: only main functions build a real clock, tests turn a simulated one by hand.
#pragma once

#include <chrono>

namespace fallow {

// Calendar time; may step. For what people and files see, and for deadlines that survive a restart.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
// Time since an arbitrary start; never steps back. For durations within one process.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::microseconds>;

inline std::int64_t UnixMs(WallTime time) {
  return time.time_since_epoch().count();
}
inline std::int64_t UnixSeconds(WallTime time) {
  return UnixMs(time) / 1000;
}
inline WallTime WallTimeFromUnixMs(std::int64_t unix_ms) {
  return WallTime{std::chrono::milliseconds{unix_ms}};
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Wall() const = 0;
  virtual SteadyTime Steady() const = 0;
};

}  // namespace fallow
