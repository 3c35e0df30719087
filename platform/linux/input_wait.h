// The wait of PresenceSource::AwaitInput, for the files of platform/linux that offer one.
//
// Threading: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "platform/loop.h"

namespace fallow {

class InputWait {
 public:
  explicit InputWait(Loop& loop) : loop_(loop) {}

  // Replaces the wait; an empty function ends it.
  void Set(std::function<void()> on_input) {
    waiting_ = on_input ? std::make_shared<std::function<void()>>(std::move(on_input)) : nullptr;
    telling_ = false;
  }
  // Somebody waits and has not been told.
  bool active() const { return waiting_ != nullptr && !telling_; }

  // Calls the function at the loop's next turn, so that it may do what it likes with the source,
  // unless it is replaced or the source destroyed until then. Once.
  void Tell() {
    if (!active()) return;
    telling_ = true;
    loop_.Post([kept = std::weak_ptr(waiting_)] {
      // Moved out: the function may set the next wait.
      if (const auto waiting = kept.lock()) std::exchange(*waiting, nullptr)();
    });
  }

 private:
  Loop& loop_;
  // Shared with posted calls alone, which find it gone if the wait was replaced.
  std::shared_ptr<std::function<void()>> waiting_;
  bool telling_ = false;
};

}  // namespace fallow
