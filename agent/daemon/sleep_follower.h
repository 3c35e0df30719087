// Follows the machine's sleep: tells when it prepares for it and when it is awake again, and lets
// it go on once everything is given back.
//
// Whoever tells of sleep may come, go and hang, and the message bus with it: it is opened by the
// first look, and anew by later ones, as other sources are (SourceSet). No timer runs here.
// Threading: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "platform/loop.h"
#include "platform/sleep_watch.h"
#include "platform/source_set.h"

namespace fallow {

class SleepFollower {
 public:
  struct Events {
    // The machine is about to sleep, and waits until `ready` is called.
    std::function<void(std::function<void()> ready)> on_sleep;
    std::function<void()> on_wake;
  };
  using Open = std::function<Result<std::unique_ptr<SleepWatch>>()>;

  // `loop` and `clock` must outlive it. The events come from the loop, never from inside Look.
  SleepFollower(Loop& loop, const Clock& clock, Open open, Events events);

  // At every look at the machine.
  void Look();

 private:
  void Follow();
  void FollowSoon();
  void NoteTrouble(const SleepReading& reading);

  Loop& loop_;
  const Events events_;
  SourceSet<SleepWatch> source_;
  bool asleep_ = false;        // as we said last
  bool posted_ = false;        // Follow will be called
  bool trouble_told_ = false;  // that nobody tells of sleep
  // Posted calls look here before they touch it.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
