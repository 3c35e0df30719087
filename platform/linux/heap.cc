#include "platform/heap.h"

#include <malloc.h>

namespace fallow {

void KeepHeapSmall() {
  constexpr int kTrimBytes = 64 << 10;
  // Where the C library does not know them, it grows as it likes.
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, kTrimBytes);
}

}  // namespace fallow
