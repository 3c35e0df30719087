// A presence source that says what the test wants.
#pragma once

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

  std::string name() const override { return name_; }
  PresenceReading Read() override { return reading_; }

 private:
  std::string name_;
  PresenceReading reading_;
};

}  // namespace fallow
