// A presence source that says what the test wants.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "platform/presence.h"

namespace fallow {

class FakePresenceSource : public PresenceSource {
 public:
  // `loop`, if given, outlives it: with it, input that comes while nobody waits ends the next wait
  // unless a reading told of it.
  explicit FakePresenceSource(std::string name = "fake", Loop* loop = nullptr)
      : name_(std::move(name)), loop_(loop) {
    CannotTell("nothing was said yet");
  }

  void IdleFor(std::chrono::milliseconds duration, std::string detail = "") {
    reading_ = {.source = name_, .known = true, .idle_for = duration, .detail = std::move(detail)};
  }
  void CannotTell(std::string reason) {
    reading_ = {.source = name_, .known = false, .idle_for = {}, .detail = std::move(reason)};
  }
  // Somebody touches the machine: whoever awaits input is called now, from the test's own level.
  void MakeInput() {
    IdleFor(std::chrono::milliseconds(0));
    untold_ = on_input_ == nullptr;
    if (const auto call = std::exchange(on_input_, nullptr)) call();
  }
  bool awaited() const { return on_input_ != nullptr; }
  int read_count() const { return read_count_; }
  // Somebody touches the machine just after the next reading.
  void MakeInputAfterReading() { input_follows_ = true; }
  // False: it says that it must be read again and again.
  bool can_await = true;

  std::string name() const override { return name_; }
  PresenceReading Read() override {
    ++read_count_;
    untold_ = false;
    const PresenceReading reading = reading_;
    if (std::exchange(input_follows_, false)) MakeInput();
    return reading;
  }
  bool AwaitInput(std::function<void()> on_input) override {
    if (!can_await) return false;
    on_input_ = std::move(on_input);
    if (on_input_ != nullptr && loop_ != nullptr && std::exchange(untold_, false)) {
      loop_->Post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) MakeInput();
      });
    }
    return true;
  }

 private:
  std::string name_;
  Loop* loop_;
  PresenceReading reading_;
  std::function<void()> on_input_;
  int read_count_ = 0;
  bool untold_ = false;
  bool input_follows_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
