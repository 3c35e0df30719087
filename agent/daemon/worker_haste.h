// The haste of a process that else gives way to everybody: while it is to stop it has an ordinary
// part of the processors, or it could not where neighbours take them all.
//
// Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/result.h"
#include "platform/background.h"
#include "platform/loop.h"

namespace fallow {

class WorkerHaste {
 public:
  using Set = std::function<Status(std::int64_t process_id, Haste haste)>;

  // `loop` must outlive it. `set`: as SetHaste; null: nothing is ever done. `lasts`: from
  // GiveWayLater to giving way, and to the next try where that is refused for the time being.
  WorkerHaste(Loop& loop, Set set, std::chrono::milliseconds lasts)
      : loop_(loop), set_(std::move(set)), lasts_(lasts) {}

  void Hurry(std::int64_t process_id) {
    timer_.reset();
    // Without it the process stops all the same, later where neighbours take all processors.
    (void)Change(process_id, Haste::kHurry);
  }
  // Until it is done: a process at an ordinary part of the processors would be felt.
  void GiveWayLater(std::int64_t process_id) {
    timer_ = loop_.After(lasts_, [this, process_id] {
      const Status status = Change(process_id, Haste::kNone);
      if (!status && status.error().code == ErrorCode::kUnavailable) GiveWayLater(process_id);
    });
  }
  void Forget() { timer_.reset(); }  // the process has gone

 private:
  Status Change(std::int64_t process_id, Haste haste) {
    if (!set_) return {};
    Status status = set_(process_id, haste);
    if (!status) LOG_DEBUG("agent: {}", status.error().message);
    return status;
  }

  Loop& loop_;
  const Set set_;
  const std::chrono::milliseconds lasts_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace fallow
