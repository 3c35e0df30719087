#include "coordinator/core/task_queue.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "coordinator/core/limits.h"

namespace fallow {

void TaskQueue::Add(std::unique_ptr<Task> task) {
  tasks_.push_back(std::move(task));
  Schedule();
}

void TaskQueue::Schedule() {
  if (next_turn_ == nullptr && !tasks_.empty())
    next_turn_ = loop_.After(std::chrono::milliseconds(0), [this] { Turn(); });
}

void TaskQueue::Turn() {
  const std::unique_ptr<Timer> done = std::move(next_turn_);
  std::unique_ptr<Task> task = std::move(tasks_.front());
  tasks_.pop_front();
  switch (task->RunSlice()) {
    case SliceOutcome::kMore: {
      const std::size_t place = std::min(tasks_.size(), kMaxConcurrentTasks - 1);
      tasks_.insert(tasks_.begin() + static_cast<std::ptrdiff_t>(place), std::move(task));
      break;
    }
    case SliceOutcome::kDone:
      break;
    case SliceOutcome::kRetry:
      Retry(std::move(task));
      break;
  }
  Schedule();
}

void TaskQueue::Retry(std::unique_ptr<Task> task) {
  auto waiting = std::make_unique<Waiting>();
  Waiting* key = waiting.get();
  waiting->task = std::move(task);
  waiting->timer = loop_.After(kTaskRetryDelay, [this, key] {
    const auto found = std::ranges::find(waiting_, key, &std::unique_ptr<Waiting>::get);
    std::unique_ptr<Waiting> ready = std::move(*found);
    waiting_.erase(found);
    Add(std::move(ready->task));
  });
  waiting_.push_back(std::move(waiting));
}

}  // namespace fallow
