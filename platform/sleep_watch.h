// Lets work be given back before the machine sleeps. Never keeps it from sleeping.
//
// Threading: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

struct SleepReading {
  std::string source;
  bool known = false;  // somebody tells of sleep
  // The machine is about to sleep, or sleeps: it waits for Ready, or for its own limit (5 s by
  // default). While nobody tells, what was told last.
  bool preparing = false;
  std::string detail;  // why nobody tells; empty if somebody does
};

class SleepWatch {
 public:
  virtual ~SleepWatch() = default;
  // Costs nothing while nothing has changed.
  virtual SleepReading Read() = 0;
  // `fn` is called, from the loop, when a Read may find something new.
  virtual void OnChange(std::function<void()> fn) = 0;
  virtual void Ready() = 0;  // everything is given back: sleep may go on
};

// logind's PrepareForSleep and a delay inhibitor. A logind that is absent is waited for; without
// its leave the machine does not wait for us, which the log says once, and sleep is told all the
// same. kUnavailable, with the reason, without a system bus.
Result<std::unique_ptr<SleepWatch>> NewSleepWatch(Loop& loop);

}  // namespace fallow
