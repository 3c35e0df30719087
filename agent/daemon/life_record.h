// That an agent began, lives, and ended: lines of the explain log, and signs of life that survive a
// SIGKILL and cost no write of a disk. Without them a log would tell reasons for times at which
// nothing ran. And that the wall clock was set back meanwhile: without that its times would tell
// another order than its lines.
//
// Threading: the loop's thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/policy/policy_log.h"
#include "base/clock.h"
#include "platform/life_sign.h"

namespace fallow {

class LifeRecord {
 public:
  // The wall clock was set back if it lost so much; that is written at most once a period.
  static constexpr std::chrono::milliseconds kClockStep{2'000};
  static constexpr std::chrono::milliseconds kClockStepPeriod{60'000};

  // `clock` and `log` must outlive it. `signs`: where signs of life may be kept; the first that can
  // be written is taken, and without any there are none.
  LifeRecord(const Clock& clock, PolicyLog& log, std::vector<std::string> signs)
      : clock_(clock), log_(log), signs_(std::move(signs)) {}

  // Before the first decision. What cannot be kept is a warning in the log.
  void Begin();
  void Look();  // at every look; at the latest after kSignPatience, or the machine slept
  void End();

 private:
  void LookAtClock();
  bool Mark(RunMark mark);  // without its moment

  const Clock& clock_;
  PolicyLog& log_;
  const std::vector<std::string> signs_;
  std::unique_ptr<LifeSign> sign_;
  // How far the wall clock was ahead of the steady one, at most, since that was last written.
  std::chrono::microseconds most_ahead_{};
  std::optional<SteadyTime> step_written_at_;
};

// The latest of those; none if there is none.
std::optional<WallTime> LastLifeSign(const std::vector<std::string>& signs);

}  // namespace fallow
