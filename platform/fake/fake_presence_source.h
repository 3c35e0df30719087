// A presence source that says what the test wants.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "platform/presence.h"

namespace fallow {

class FakePresenceSource : public PresenceSource {
 public:
  explicit FakePresenceSource(std::string name = "fake") : name_(std::move(name)) {
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
    if (const auto call = std::exchange(on_input_, nullptr)) call();
  }
  bool awaited() const { return on_input_ != nullptr; }
  int read_count() const { return read_count_; }
  // False: it says that it must be read again and again.
  bool can_await = true;

  std::string name() const override { return name_; }
  PresenceReading Read() override {
    ++read_count_;
    return reading_;
  }
  bool AwaitInput(std::function<void()> on_input) override {
    if (can_await) on_input_ = std::move(on_input);
    return can_await;
  }

 private:
  std::string name_;
  PresenceReading reading_;
  std::function<void()> on_input_;
  int read_count_ = 0;
};

}  // namespace fallow
