// A clock that a test turns by hand.
#pragma once

#include "base/check.h"
#include "base/clock.h"

namespace fallow {

class SimulatedClock : public Clock {
 public:
  // 2026-01-01 00:00:00 UTC.
  static constexpr std::int64_t kDefaultStartUnixMs = 1'767'225'600'000;

  explicit SimulatedClock(WallTime start = WallTimeFromUnixMs(kDefaultStartUnixMs))
      : wall_(std::chrono::time_point_cast<std::chrono::microseconds>(start)) {}

  WallTime Wall() const override { return std::chrono::floor<std::chrono::milliseconds>(wall_); }
  SteadyTime Steady() const override { return steady_; }

  // Time passes.
  void Advance(std::chrono::microseconds duration) {
    FALLOW_CHECK(duration.count() >= 0);
    wall_ += duration;
    steady_ += duration;
  }
  // Somebody sets the calendar clock, forward or back.
  void StepWall(std::chrono::microseconds difference) { wall_ += difference; }

 private:
  std::chrono::sys_time<std::chrono::microseconds> wall_;
  SteadyTime steady_{std::chrono::hours(1)};
};

}  // namespace fallow
