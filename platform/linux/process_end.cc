#include "platform/process_end.h"

#include <unistd.h>

#include <future>
#include <memory>

#include "base/log.h"

namespace fallow {
namespace {

// A log that nobody reads may be what holds the process up: it is written aside, for so long.
constexpr std::chrono::milliseconds kLogPatience{100};

void SayAside(std::chrono::milliseconds patience) {
  // Shared: the thread may outlast this call.
  const auto said = std::make_shared<std::promise<void>>();
  std::thread([said, patience] {
    LOG_WARN("the process ends without waiting longer than {} ms for what holds up its threads",
             patience.count());
    said->set_value();
  }).detach();
  said->get_future().wait_for(kLogPatience);
}

}  // namespace

ProcessEnd::ProcessEnd(std::chrono::milliseconds patience, int exit_code)
    : thread_([this, patience, exit_code] {
        std::unique_lock lock(mutex_);
        if (over_signal_.wait_for(lock, patience, [this] { return over_; })) return;
        SayAside(patience);
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
