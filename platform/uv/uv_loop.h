// The main loop on libuv, as the other files of platform/uv see it.
//
// Threading: as Loop. Work that still runs when the loop is destroyed is waited for, and its `done`
// is dropped, as are posted calls that have not run.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "platform/system.h"

namespace fallow {

class UvLoop : public MainLoop {
 public:
  UvLoop();
  ~UvLoop() override;
  UvLoop(const UvLoop&) = delete;
  UvLoop& operator=(const UvLoop&) = delete;

  // The uv loop behind `loop`, which must be one: only NewMainLoop makes loops for real streams and
  // processes.
  static uv_loop_t* Of(Loop& loop);

  std::unique_ptr<Timer> After(std::chrono::milliseconds delay, std::function<void()> fn) override;
  std::unique_ptr<Timer> Every(std::chrono::milliseconds period, std::function<void()> fn) override;
  void Post(std::function<void()> fn) override;
  void Blocking(std::function<void()> work, std::function<void()> done) override;

  void Run() override;
  void Stop() override;
  void OnTerminate(std::function<void()> fn) override;

 private:
  void RunPosted();
  std::unique_ptr<Timer> StartTimer(std::chrono::milliseconds delay,
                                    std::chrono::milliseconds period, std::function<void()> fn);

  uv_loop_t loop_;
  uv_async_t wake_up_;
  std::vector<std::unique_ptr<uv_signal_t>> signals_;
  std::function<void()> on_terminate_;
  bool ending_ = false;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

// kInternal or a nearer code: `what` and libuv's reason. `status` is a negative libuv result.
Error UvError(std::string_view what, int status);

}  // namespace fallow
