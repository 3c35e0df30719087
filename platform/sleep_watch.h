// Lets work be given back before the machine sleeps. Never keeps it from sleeping.
//
// Threading: the loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

class SleepWatch {
 public:
  struct Events {
    // The machine is about to sleep: it waits for Ready, or for its own limit (5 s by default).
    std::function<void()> on_sleep;
    std::function<void()> on_wake;
  };
  virtual ~SleepWatch() = default;
  virtual void Ready() = 0;  // everything is given back: sleep may go on
};

// logind's PrepareForSleep and a delay inhibitor. kUnavailable, with the reason, without logind.
Result<std::unique_ptr<SleepWatch>> NewSleepWatch(Loop& loop, SleepWatch::Events events);

}  // namespace fallow
