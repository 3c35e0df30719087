#include "engine/step_control.h"

#include "base/check.h"

namespace fallow::engine {

std::chrono::nanoseconds RestAfter(std::chrono::nanoseconds busy, double share) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(busy * ((1 - share) / share));
}

void StepControl::Stop() {
  // Before the lock, which a thread of lower priority may hold.
  stopped_.store(true, std::memory_order_relaxed);
  Wake();
}

Status StepControl::GoOn() const {
  if (stopped()) return Fail(ErrorCode::kCancelled, "it was stopped");
  return {};
}

void StepControl::SetShare(double share) {
  FALLOW_CHECK(share >= kMinShare && share <= 1);
  share_.store(share, std::memory_order_relaxed);
  Wake();
}

void StepControl::Wake() {
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

void StepControl::Rest(std::chrono::nanoseconds busy) const {
  if (share() >= 1) return;
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto end = start + RestAfter(busy, share());
    if (stopped() || std::chrono::steady_clock::now() >= end) return;
    changed_.wait_until(lock, end);
  }
}

}  // namespace fallow::engine
