// OwnProcessorTime: how much processor time our own processes took between two readings.
//
// Ours are the processes that are named and those that they started and that still run (where the
// kernel lists a process's children). Children that ended are counted when their parent waits for
// them, as the kernel does.
//
// Threading: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "platform/linux/process_stat.h"

namespace fallow {

class OwnProcessorTime {
 public:
  explicit OwnProcessorTime(std::string proc) : proc_(std::move(proc)) {}

  // Clock ticks since the call before. None at the first, and where the sum cannot be told: one of
  // ours ended and nobody of ours waited for it, a process is new to the list but older than the
  // call before, or a count stepped back.
  std::optional<std::int64_t> TicksSinceLast(std::span<const std::int64_t> own);

 private:
  void Collect(std::int64_t process_id, std::map<std::int64_t, ProcessStat>& into) const;

  std::string proc_;
  std::map<std::int64_t, ProcessStat> last_;
  std::optional<std::int64_t> last_uptime_ticks_;
};

}  // namespace fallow
