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
  {
    const std::lock_guard lock(mutex_);
    call_ = call;
    context_ = context;
    task_count_ = task_count;
    next_task_.store(0, std::memory_order_relaxed);
    busy_count_ = static_cast<std::uint32_t>(threads_.size());
    ++round_;
  }
  work_.notify_all();
  TakeTasks(call, context, task_count);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_count_ == 0; });
}

void ThreadPool::TakeTasks(Call call, void* context, std::uint32_t task_count) {
  for (;;) {
    const std::uint32_t task = next_task_.fetch_add(1, std::memory_order_relaxed);
    if (task >= task_count) return;
    call(context, task);
  }
}

void ThreadPool::Loop() {
  std::uint64_t seen_round = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return quit_ || round_ != seen_round; });
    if (quit_) return;
    seen_round = round_;
    const Call call = call_;
    void* const context = context_;
    const std::uint32_t task_count = task_count_;
    lock.unlock();
    TakeTasks(call, context, task_count);
    lock.lock();
    if (--busy_count_ == 0) done_.notify_one();
  }
}

}  // namespace fallow::engine
