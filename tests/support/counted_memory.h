// Counts what `new` gives out in a test program: link test_counted_memory, which replaces it.
// Memory that C libraries take by malloc is not counted.
#pragma once

#include <cstddef>

namespace fallow {

// Bytes that are out now.
std::size_t CountedBytes();
// The most that were out since the last ResetCountedPeak, and that call.
std::size_t CountedPeakBytes();
void ResetCountedPeak();

}  // namespace fallow
