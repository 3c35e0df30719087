#include "agent/worker/inbox.h"

#include <utility>

#include "protocol/limits.h"

namespace fallow {

static_assert(kMinPaceShare >= engine::kMinShare);

void Inbox::Put(ToWorker message) {
  if (const auto* pace = std::get_if<SetPace>(&message)) return control_.SetShare(pace->share);
  {
    const std::lock_guard lock(mutex_);
    if (std::holds_alternative<StopWork>(message)) {
      ++waiting_stops_;
      control_.Stop();
    }
    commands_.push_back({std::move(message), clock_.Steady()});
  }
  changed_.notify_one();
}

void Inbox::Close(Status reason) {
  {
    const std::lock_guard lock(mutex_);
    end_ = std::move(reason);
    control_.Stop();
  }
  changed_.notify_one();
}

std::optional<Inbox::Command> Inbox::Take(Wait wait) {
  std::unique_lock lock(mutex_);
  if (wait == Wait::kYes) {
    changed_.wait(lock, [this] { return !commands_.empty() || end_.has_value(); });
  }
  if (commands_.empty()) return std::nullopt;
  Command command = std::move(commands_.front());
  commands_.pop_front();
  if (std::holds_alternative<StopWork>(command.message) && --waiting_stops_ == 0 && !end_) {
    control_.Resume();
  }
  return command;
}

std::optional<Status> Inbox::end() {
  const std::lock_guard lock(mutex_);
  return end_;
}

}  // namespace fallow
