// Whether a worker that was told to rest does: what it takes of the processors meanwhile, against
// what a process with nothing to do may.
//
// Plain values. The time is looked at when somebody looks anyway, so it is counted in stretches:
// long rest earns no right to work later.
#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace fallow {

// Of one processor. A driver's own threads may wake now and then.
inline constexpr double kRestShare = 0.01;
// For ending what it was about when it was told to rest, and for clocks that count in steps.
inline constexpr std::chrono::milliseconds kRestAllowance{500};
// A stretch is at least so long.
inline constexpr std::chrono::milliseconds kRestStretch{60'000};

class RestCheck {
 public:
  // What it took is too much.
  struct Unrest {
    std::chrono::milliseconds took{};     // of processor time
    std::chrono::milliseconds within{};   // of time
    std::chrono::milliseconds allowed{};  // for so long
    bool operator==(const Unrest&) const = default;
  };
  using ProcessorTime = std::optional<std::chrono::milliseconds>;  // none: it cannot be read

  // `taken`: its processor time so far.
  void Begin(SteadyTime now, ProcessorTime taken);
  // None while it rests, and while nothing can be told.
  std::optional<Unrest> Look(SteadyTime now, ProcessorTime taken);

 private:
  SteadyTime begun_at_{};
  ProcessorTime begun_with_;
};

}  // namespace fallow
