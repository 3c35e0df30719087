// How quickly the device is given back: from the owner's input to the device having no work of
// ours.
//
// Holds the last kMaxYields, in memory that it takes at once: an agent that runs for months is not
// to grow. Threading: the loop's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace fallow {

struct Yield {
  enum class How : std::uint8_t {
    kStopped,  // the worker stopped between two dispatches and said so
    kKilled,   // it did not in time, or had nothing to lose, and was killed
    kIdle,     // it had no work in hand
  };
  // Both on the system's monotonic clock, so that another program can compare them with its own.
  SteadyTime input_at{};
  SteadyTime freed_at{};
  How how = How::kStopped;

  std::chrono::microseconds latency() const { return freed_at - input_at; }
  bool operator==(const Yield&) const = default;
};
std::string_view YieldHowName(Yield::How how);  // "stopped"

class YieldStats {
 public:
  static constexpr std::size_t kMaxYields = 1'000;

  // Idle ones are only counted: giving back what is not used takes no time, and would flatter.
  void Add(const Yield& yield);

  struct Summary {
    std::uint64_t count = 0;  // of busy devices, ever; the figures below are of the last ones
    std::uint64_t killed_count = 0;  // of those
    std::uint64_t idle_count = 0;
    // By nearest rank; 0 without any.
    double p50_ms = 0;
    double p99_ms = 0;
    double max_ms = 0;
    std::optional<Yield> last;  // of a busy device
  };
  const Summary& summary() const { return summary_; }

 private:
  // The yield of number n of a busy device, counted from 0, stands at n modulo kMaxYields.
  std::array<std::chrono::microseconds, kMaxYields> latencies_{};
  Summary summary_;  // kept up to date: it is asked for with every report, yields are rare
};

}  // namespace fallow
