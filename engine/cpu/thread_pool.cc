#include "engine/cpu/thread_pool.h"

namespace fallow::engine {

ThreadPool::ThreadPool(std::uint32_t thread_count) {
  for (std::uint32_t i = 1; i < thread_count; ++i) threads_.emplace_back([this] { Loop(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::RunErased(std::uint32_t task_count, Call call, void* context) {
  if (task_count <= 1 || threads_.empty()) {
    for (std::uint32_t i = 0; i < task_count; ++i) call(context, i);
    return;
  }
  std::unique_lock lock(mutex_);
  call_ = call;
  context_ = context;
  task_count_ = task_count;
  next_task_ = 0;
  finished_count_ = 0;
  work_.notify_all();
  TakeTasks(lock);
  done_.wait(lock, [this] { return finished_count_ == task_count_; });
}

void ThreadPool::TakeTasks(std::unique_lock<std::mutex>& lock) {
  while (next_task_ < task_count_) {
    const std::uint32_t task = next_task_++;
    lock.unlock();
    call_(context_, task);
    lock.lock();
    if (++finished_count_ == task_count_) done_.notify_one();
  }
}

void ThreadPool::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return quit_ || next_task_ < task_count_; });
    if (quit_) return;
    TakeTasks(lock);
  }
}

}  // namespace fallow::engine
