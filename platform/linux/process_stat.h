// One process as /proc/PID/stat tells it (proc(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fallow {

struct ProcessStat {
  std::int64_t parent = 0;
  // In clock ticks, of all its threads, those that ended included.
  std::int64_t own_ticks = 0;
  // The same of children that ended and were waited for, and of theirs.
  std::int64_t ended_children_ticks = 0;
  // Since boot, in clock ticks. With its id it names a process for good.
  std::int64_t start_ticks = 0;
};

std::optional<ProcessStat> ParseProcessStat(std::string_view text);
// None if there is no such process.
std::optional<ProcessStat> ReadProcessStat(const std::string& proc, std::int64_t process_id);

}  // namespace fallow
