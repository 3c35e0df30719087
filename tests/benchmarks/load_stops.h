// Stops of a worker that loads a model, or gives up one for another, by the daemon's own
// supervisor: what an owner waits who comes back just then.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace fallow {

struct LoadStopOptions {
  std::vector<std::string> worker;  // the program's path, then its arguments
  std::string model;
  std::string model_before;  // is in memory and makes way for it; empty: none
  int stops = 0;
  std::chrono::seconds patience{600};  // for all of them
};

struct LoadStopFigures {
  std::chrono::milliseconds load_time{};  // of a load that nobody stops, and of making way for it
  std::vector<double> stops_ms;           // from the wish to stop to the device being free
  std::uint64_t killed_count = 0;         // of those, the ones that ended with SIGKILL
};

// One load to its end, then `stops` loads, each in a worker process of its own, which is stopped at
// a random moment of the time that the first took. With a model before, which is loaded undisturbed
// each time.
Result<LoadStopFigures> MeasureLoadStops(const LoadStopOptions& options);

}  // namespace fallow
