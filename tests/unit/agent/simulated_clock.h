// A clock that tests turn by hand.
#pragma once

#include "base/clock.h"

namespace fallow {

class SimulatedClock : public Clock {
 public:
  WallTime Wall() const override { return wall_; }
  SteadyTime Steady() const override { return steady_; }

  void Advance(std::chrono::microseconds duration) {
    steady_ += duration;
    wall_ += std::chrono::duration_cast<std::chrono::milliseconds>(duration);
  }
  // Calendar time jumps, as when a user or a time server sets it.
  void StepWall(std::chrono::milliseconds by) { wall_ += by; }

 private:
  WallTime wall_ = WallTimeFromUnixMs(1'763'769'600'000);
  SteadyTime steady_{std::chrono::hours(1)};
};

}  // namespace fallow
