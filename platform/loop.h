// The event loop of a process: timers, messages from other threads, blocking work.
//
// Threading: everything on the loop's thread except Post, which any thread may call.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace fallow {

// Cancels its timer when destroyed.
class Timer {
 public:
  virtual ~Timer() = default;
};

class Loop {
 public:
  virtual ~Loop() = default;

  // Calls `fn` once after `delay`, never before this call returns. May be destroyed from inside
  // `fn`.
  [[nodiscard]] virtual std::unique_ptr<Timer> After(std::chrono::milliseconds delay,
                                                     std::function<void()> fn) = 0;
  // Calls `fn` every `period`, first after one period.
  [[nodiscard]] virtual std::unique_ptr<Timer> Every(std::chrono::milliseconds period,
                                                     std::function<void()> fn) = 0;
  // Calls `fn` on the loop's thread soon. Any thread.
  virtual void Post(std::function<void()> fn) = 0;
  // Runs `work` on another thread, then `done` on the loop's.
  virtual void Blocking(std::function<void()> work, std::function<void()> done) = 0;
};

}  // namespace fallow
