// A source of a session signal that says what the test wants.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "platform/session_signals.h"

namespace fallow {

class FakeSessionSignalSource : public SessionSignalSource {
 public:
  explicit FakeSessionSignalSource(SessionSignalKind kind, std::string name = "fake signal") {
    signal_ = {.kind = kind,
               .source = std::move(name),
               .known = false,
               .active = false,
               .detail = "nothing was said yet"};
  }

  // Each tells whoever listens, from the test's own level.
  void Become(bool active, std::string detail = "") { Change(true, active, std::move(detail)); }
  void CannotTell(std::string reason) { Change(false, false, std::move(reason)); }
  bool listened() const { return on_change_ != nullptr; }

  std::string name() const override { return signal_.source; }
  SessionSignalKind kind() const override { return signal_.kind; }
  SessionSignal Read() override { return signal_; }
  bool OnChange(std::function<void()> on_change) override {
    on_change_ = std::move(on_change);
    return true;
  }

 private:
  void Change(bool known, bool active, std::string detail) {
    signal_.known = known;
    signal_.active = active;
    signal_.detail = std::move(detail);
    // A copy: it may listen anew.
    if (const auto call = on_change_) call();
  }

  SessionSignal signal_;
  std::function<void()> on_change_;
};

}  // namespace fallow
