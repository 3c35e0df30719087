// A process that gives way to everything else on the machine, memory it can give up, and what it
// takes meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace fallow {

// Makes this process and all its threads to come run only where nobody else wants to: idle
// scheduling class, a session of its own whose autogroup is at the lowest, idle disk priority, and
// first to go when memory runs out. Call before threads start. Says what was reached, and what was
// not and why ("SCHED_IDLE, nice 19, autogroup 19, idle disk class, oom 1000, timer slack 1 ms");
// an error if even the scheduling class was refused. Waits up to a second where an autogroup was
// changed just before. Control groups are left as they are: one that gives the process a part of
// the processors of its own is named.
Result<std::string> EnterBackground();

// This thread, and those that it starts, weigh as little as any outside the idle class. For the
// thread of a process in the background that must be heard at once: started before EnterBackground
// it goes before the others, and yet hardly counts where the session's weight is shared out.
Status BeNice();

// How soon a process that gives way is to do what it is told.
enum class Haste : std::uint8_t { kNone, kHurry };
// Of a process in the background, by itself or another of its user: in a hurry its session has the
// part of the processors that any session has, so that it can end its work though neighbours would
// take them all. Nothing changes where control groups share the processors. kFailedPrecondition if
// it does not lead a session of its own; kUnavailable when some process of the machine had this
// changed within the last 100 ms, unless we are root: no user gets it more often.
Status SetHaste(std::int64_t process_id, Haste haste);

// Resident memory of a process, in bytes, as the kernel counts it in passing (it may be off by some
// pages for each processor); none if it cannot be read.
std::optional<std::uint64_t> ResidentBytes(std::int64_t process_id);
// Processor time of a process since it began, all its threads and its children that ended together,
// in steps of the kernel's clock (10 ms); none if it cannot be read.
std::optional<std::chrono::milliseconds> ProcessorTime(std::int64_t process_id);
// Gives back what this process does not need at the moment: free heap, and pages of program files,
// which come back from the page cache when touched. The first time, and after a library was loaded,
// takes some milliseconds; else a fraction of one.
void TrimResidentMemory();

}  // namespace fallow
