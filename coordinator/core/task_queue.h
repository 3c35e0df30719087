// A TaskQueue runs long tasks on the loop in slices, a few at once, so that nothing else waits
// long.
//
// Threading: the loop. Destroying the queue drops its tasks; they are to be found again in the
// store.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "platform/loop.h"

namespace fallow {

enum class SliceOutcome : std::uint8_t {
  kMore,   // call again soon
  kDone,   // the task is finished and may be destroyed
  kRetry,  // it cannot go on now (disk full, store busy): call again after a while; it starts over
};

class Task {
 public:
  virtual ~Task() = default;
  virtual SliceOutcome RunSlice() = 0;  // some milliseconds of work
};

class TaskQueue {
 public:
  explicit TaskQueue(Loop& loop) : loop_(loop) {}
  void Add(std::unique_ptr<Task> task);

 private:
  struct Waiting {
    std::unique_ptr<Task> task;
    std::unique_ptr<Timer> timer;
  };
  void Turn();
  void Schedule();
  void Retry(std::unique_ptr<Task> task);

  Loop& loop_;
  std::deque<std::unique_ptr<Task>> tasks_;  // the first kMaxConcurrentTasks take turns
  std::vector<std::unique_ptr<Waiting>> waiting_;
  std::unique_ptr<Timer> next_turn_;
};

}  // namespace fallow
