// A process that gives way to everything else on the machine, and memory it can give up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace fallow {

// Makes this process and all its threads to come run only where nobody else wants to: idle
// scheduling class, a session of its own whose autogroup is at the lowest, an idle control group
// where one may be made, idle disk priority, and first to go when memory runs out. Call before
// threads start. Says what was reached ("SCHED_IDLE, autogroup 19, oom 1000"); an error if even the
// scheduling class was refused.
Result<std::string> EnterBackground();

// Resident memory of a process, in bytes; none if it cannot be read.
std::optional<std::uint64_t> ResidentBytes(std::int64_t process_id);
// Gives back what this process does not need at the moment: free heap, and pages of program files,
// which come back from the page cache when touched.
void TrimResidentMemory();

}  // namespace fallow
