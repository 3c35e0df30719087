#include "agent/daemon/yield_stats.h"

#include <algorithm>
#include <span>

#include "base/check.h"

namespace fallow {
namespace {

// The smallest of `sorted`, which is not empty, that at least `percent` per cent of them do not
// exceed.
double NearestRankMs(std::span<const std::chrono::microseconds> sorted, std::size_t percent) {
  const std::size_t rank = (sorted.size() * percent + 99) / 100;
  return std::chrono::duration<double, std::milli>(sorted[std::max<std::size_t>(rank, 1) - 1])
      .count();
}

}  // namespace

std::string_view YieldHowName(Yield::How how) {
  switch (how) {
    case Yield::How::kStopped:
      return "stopped";
    case Yield::How::kKilled:
      return "killed";
    case Yield::How::kIdle:
      return "idle";
  }
  FALLOW_UNREACHABLE();
}

void YieldStats::Add(const Yield& yield) {
  if (yield.how == Yield::How::kIdle) {
    ++summary_.idle_count;
    return;
  }
  latencies_[summary_.count++ % kMaxYields] = yield.latency();
  summary_.killed_count += yield.how == Yield::How::kKilled;
  summary_.last = yield;

  auto copy = latencies_;
  const auto sorted = std::span(copy).first(std::min<std::size_t>(summary_.count, kMaxYields));
  std::ranges::sort(sorted);
  summary_.p50_ms = NearestRankMs(sorted, 50);
  summary_.p99_ms = NearestRankMs(sorted, 99);
  summary_.max_ms = NearestRankMs(sorted, 100);
}

}  // namespace fallow
