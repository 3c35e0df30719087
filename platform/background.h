// A process that gives way to everything else on the machine, and memory it can give up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace fallow {

// Makes this process and all its threads to come run only where nobody else wants to: idle
// scheduling class, a session of its own whose autogroup is at the lowest, idle disk priority, and
// first to go when memory runs out. Call before threads start. Says what was reached, and what was
// not and why ("SCHED_IDLE, nice 19, autogroup 19, idle disk class, oom 1000, timer slack 1 ms");
// an error if even the scheduling class was refused. Control groups are left as they are: one that
// gives the process a part of the processors of its own is named.
Result<std::string> EnterBackground();

// Resident memory of a process, in bytes, as the kernel counts it in passing (it may be off by some
// pages for each processor); none if it cannot be read.
std::optional<std::uint64_t> ResidentBytes(std::int64_t process_id);
// Gives back what this process does not need at the moment: free heap, and pages of program files,
// which come back from the page cache when touched. Takes some milliseconds.
void TrimResidentMemory();

}  // namespace fallow
