// The presence sources of this machine, opened again when they fail: a display server may start or
// end at any time.
//
// Threading: the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/presence.h"

namespace fallow {

class PresenceWatch {
 public:
  struct Kind {
    std::string name;
    std::function<Result<std::unique_ptr<PresenceSource>>()> open;
  };
  // A source that could not be opened, or stopped knowing, is opened anew after so long.
  static constexpr std::chrono::milliseconds kReopenPeriod{30'000};

  // `clock` must outlive the watch.
  PresenceWatch(const Clock& clock, std::vector<Kind> kinds);

  // One reading a kind, in their order; why a source cannot tell is its detail.
  std::vector<PresenceReading> Read();

 private:
  struct Slot {
    Kind kind;
    std::unique_ptr<PresenceSource> source;
    std::string trouble;
    SteadyTime next_open{};
  };
  PresenceReading ReadSlot(Slot& slot);

  const Clock& clock_;
  std::vector<Slot> slots_;
};

}  // namespace fallow
