// What one process took of the processors, from /proc.
#include <unistd.h>

#include "platform/background.h"
#include "platform/linux/process_stat.h"

namespace fallow {

std::optional<std::chrono::milliseconds> ProcessorTime(std::int64_t process_id) {
  const auto stat = ReadProcessStat("/proc", process_id);
  if (!stat) return std::nullopt;
  return std::chrono::milliseconds((stat->own_ticks + stat->ended_children_ticks) * 1000 /
                                   ::sysconf(_SC_CLK_TCK));
}

}  // namespace fallow
