#include "platform/process_end.h"

#include <unistd.h>

#include "base/log.h"

namespace fallow {

ProcessEnd::ProcessEnd(std::chrono::milliseconds patience, int exit_code)
    : thread_([this, patience, exit_code] {
        std::unique_lock lock(mutex_);
        if (over_signal_.wait_for(lock, patience, [this] { return over_; })) return;
        LOG_WARN("the process ends without waiting longer than {} ms for what holds up its threads",
                 patience.count());
        ::_exit(exit_code);
      }) {}

ProcessEnd::~ProcessEnd() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  over_signal_.notify_one();
  thread_.join();
}

}  // namespace fallow
