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

  // Replaces the wait; an empty function ends it. One that begins after input which nobody was told
  // of ends at the loop's next turn.
  void Set(std::function<void()> on_input) {
    waiting_ = on_input ? std::make_shared<std::function<void()>>(std::move(on_input)) : nullptr;
    telling_ = false;
    if (untold_) CallSoon();
  }
  // Somebody waits and has not been told.
  bool active() const { return waiting_ != nullptr && !telling_; }

  // There was input, or may have been. Whoever waits, or is the next to, is called at the loop's
  // next turn, so that it may do what it likes with the source; not if it is replaced or the source
  // destroyed until then. Once.
  void Tell() {
    untold_ = true;
    CallSoon();
  }
  // A reading tells of all input so far: the next to wait waits for later input.
  void ToldByReading() { untold_ = false; }

 private:
  void CallSoon() {
    if (!active()) return;
    telling_ = true;
    loop_.Post([this, kept = std::weak_ptr(waiting_)] {
      const auto waiting = kept.lock();
      if (waiting == nullptr) return;
      untold_ = false;
      // Moved out: the function may set the next wait.
      std::exchange(*waiting, nullptr)();
    });
  }

  Loop& loop_;
  // Shared with posted calls alone, which find it gone if the wait was replaced.
  std::shared_ptr<std::function<void()>> waiting_;
  bool telling_ = false;
  bool untold_ = false;  // there was input that neither a reading nor a call told of
};

}  // namespace fallow
