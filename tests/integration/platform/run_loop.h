// Runs a real loop until something has happened, at most a given time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "platform/system.h"

namespace fallow::testing {

// True as soon as `condition` holds, which is looked at every 2 ms; false after `limit`, which is
// there against hanging alone.
inline bool RunUntil(MainLoop& loop, const std::function<bool()>& condition,
                     std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  if (condition()) return true;
  bool held = false;
  const auto look = loop.Every(std::chrono::milliseconds(2), [&] {
    held = condition();
    if (held) loop.Stop();
  });
  const auto end = loop.After(limit, [&] { loop.Stop(); });
  loop.Run();
  return held || condition();
}

// Lets the loop run for a while, to see that something does not happen.
inline void RunFor(MainLoop& loop, std::chrono::milliseconds duration) {
  const auto end = loop.After(duration, [&] { loop.Stop(); });
  loop.Run();
}

}  // namespace fallow::testing
