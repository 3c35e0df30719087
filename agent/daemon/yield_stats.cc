#include "agent/daemon/yield_stats.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace fallow {
namespace {

// The smallest of `sorted` that at least `percent` per cent of them do not exceed.
double NearestRankMs(const std::vector<std::chrono::microseconds>& sorted, std::size_t percent) {
  if (sorted.empty()) return 0;
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
    ++idle_count_;
    return;
  }
  ++count_;
  killed_count_ += yield.how == Yield::How::kKilled;
  last_.push_back(yield);
  if (last_.size() > kMaxYields) last_.pop_front();
}

YieldStats::Summary YieldStats::Summarise() const {
  std::vector<std::chrono::microseconds> latencies;
  for (const Yield& yield : last_) latencies.push_back(yield.latency());
  std::ranges::sort(latencies);
  Summary summary{
      .count = count_, .killed_count = killed_count_, .idle_count = idle_count_, .last = {}};
  summary.p50_ms = NearestRankMs(latencies, 50);
  summary.p99_ms = NearestRankMs(latencies, 99);
  summary.max_ms = NearestRankMs(latencies, 100);
  if (!last_.empty()) summary.last = last_.back();
  return summary;
}

}  // namespace fallow
