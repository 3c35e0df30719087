// A StepControl says from outside whether a step may go on, and what share of the time it may
// compute.
//
// Whoever computes, copies or clears much looks at it between pieces that take a few milliseconds
// at most. Results never depend on it: a step that is let through in pieces gives the same bits.
// Threading: Stop, Resume and SetShare from any thread, Rest from the computing one.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "base/result.h"

namespace fallow::engine {

// The least share of the time: one slice of 4 ms, then 196 ms of rest.
inline constexpr double kMinShare = 0.02;

// How long to rest after `busy`, so that computing takes `share` of the time.
std::chrono::nanoseconds RestAfter(std::chrono::nanoseconds busy, double share);

class StepControl {
 public:
  enum class Start : bool { kGoing, kStopped };
  explicit StepControl(Start start = Start::kGoing) : stopped_(start == Start::kStopped) {}
  StepControl(const StepControl&) = delete;
  StepControl& operator=(const StepControl&) = delete;

  // Ends a step at its next dispatch boundary, a load at its next piece, and a rest at once.
  void Stop();
  void Resume() { stopped_.store(false, std::memory_order_relaxed); }
  bool stopped() const {
    if (on_look_) on_look_();
    return stopped_.load(std::memory_order_relaxed);
  }
  // kCancelled once it is stopped.
  Status GoOn() const;

  // For tests and measurements: `fn` is called at each look, before it is answered, by any thread
  // that computes. Set before the control is shared.
  void OnLook(std::function<void()> fn) { on_look_ = std::move(fn); }

  // kMinShare to 1, where a step does not rest. Counts for a rest under way too.
  void SetShare(double share);
  double share() const { return share_.load(std::memory_order_relaxed); }

  // Waits as the share asks after computing for `busy`, or until it is stopped.
  void Rest(std::chrono::nanoseconds busy) const;

 private:
  void Wake();

  std::atomic<bool> stopped_;
  std::atomic<double> share_{1};
  std::function<void()> on_look_;
  mutable std::mutex mutex_;  // of no data: a change between a look and the wait must not be missed
  mutable std::condition_variable changed_;
};

}  // namespace fallow::engine
