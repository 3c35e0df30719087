// A session signal that services on a bus tell.
//
// Threading: the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/linux/service_watch.h"
#include "platform/session_signals.h"

namespace fallow {

// What a service says at one moment.
struct BusSign {
  bool active = false;
  std::string detail;         // who and why, if active
  bool tells_changes = true;  // false: whoever said so must be asked again and again
};

class BusSignalSource : public SessionSignalSource {
 public:
  struct Options {
    std::string name;
    SessionSignalKind kind = SessionSignalKind::kIdleInhibitor;
    Bus::Which bus = Bus::Which::kSession;
    std::vector<ServiceWatch::Change> changes;
    WatchedValue<BusSign>::Ask ask;
    // What was said without a promise to tell changes is told again while it is younger.
    std::chrono::milliseconds good_for{};
  };

  // kUnavailable, with the reason, if there is no bus. A service that is absent is waited for.
  static Result<std::unique_ptr<SessionSignalSource>> Open(Loop& loop, Options options);

  std::string name() const override { return name_; }
  SessionSignalKind kind() const override { return kind_; }
  SessionSignal Read() override;
  bool OnChange(std::function<void()> on_change) override {
    sign_.OnChange(std::move(on_change));
    return true;
  }

 private:
  BusSignalSource(Loop& loop, Options options);

  const std::string name_;
  const SessionSignalKind kind_;
  const std::chrono::milliseconds good_for_;
  WatchedValue<BusSign> sign_;
  std::optional<std::chrono::steady_clock::time_point> ask_at_;  // none: changes are told
};

}  // namespace fallow
