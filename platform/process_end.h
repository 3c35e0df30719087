// Bounds the end of a process: a thread in a read that does not return would hold up destructors
// and exit handlers for as long as it hangs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace fallow {

// Make one when everything that is to last is written, and destroy it after whatever may hang: the
// event loop above all. Threading: as any object; it waits on a thread of its own.
class ProcessEnd {
 public:
  // If it still lives after `patience`, the process ends there and then with `exit_code`: no
  // destructor or exit handler runs, and nothing more is written. A thread that the kernel lets
  // nobody end (on a device that does not answer) holds up even that, as it would SIGKILL.
  ProcessEnd(std::chrono::milliseconds patience, int exit_code);
  ~ProcessEnd();
  ProcessEnd(const ProcessEnd&) = delete;
  ProcessEnd& operator=(const ProcessEnd&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable over_signal_;
  bool over_ = false;   // guarded by mutex_
  std::thread thread_;  // last: it uses the rest
};

}  // namespace fallow
