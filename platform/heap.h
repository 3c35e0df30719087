// How a process's memory for objects grows.
#pragma once

namespace fallow {

// All threads share one heap, and what is freed at its end goes back to the system early: for
// programs that are to be small and do not compete for it. Call first in main.
void KeepHeapSmall();

}  // namespace fallow
