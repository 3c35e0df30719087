// A ThreadPool runs the same function for many task numbers on a few threads that sleep between
// uses.
//
// Tasks are taken one by one, so that a thread which the system keeps from running holds nothing up
// but its own task. Threading: Run is called by one thread at a time, which works too and returns
// when every task is done.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace fallow::engine {

class ThreadPool {
 public:
  explicit ThreadPool(std::uint32_t thread_count);  // the caller's thread included
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::uint32_t thread_count() const { return static_cast<std::uint32_t>(threads_.size()) + 1; }

  // Calls task(0) … task(task_count - 1), in any order and on any thread.
  template <class Task>
  void Run(std::uint32_t task_count, Task&& task) {
    using Callable = std::remove_reference_t<Task>;
    RunErased(
        task_count, [](void* context, std::uint32_t i) { (*static_cast<Callable*>(context))(i); },
        &task);
  }

 private:
  using Call = void (*)(void* context, std::uint32_t task);
  void RunErased(std::uint32_t task_count, Call call, void* context);
  void Loop();
  // Runs tasks until none is left to take. `lock` is held before and after.
  void TakeTasks(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  // Guarded by mutex_.
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::uint32_t task_count_ = 0;
  std::uint32_t next_task_ = 0;
  std::uint32_t finished_count_ = 0;
  bool quit_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace fallow::engine
