#include "engine/cpu/memory_budget.h"

#include <cstdlib>

namespace fallow::engine {
namespace {

// What takes less than a page fault to free.
constexpr std::size_t kSmallBytes = std::size_t{64} << 10;
// What the system takes back in a few milliseconds.
constexpr std::size_t kPieceBytes = std::size_t{32} << 20;

}  // namespace

MemoryBudget::~MemoryBudget() {
  for (const Discarded& one : discarded_) std::free(one.memory);
}

void MemoryBudget::Discard(void* memory, std::size_t bytes) {
  if (bytes < kSmallBytes) return std::free(memory);
  discarded_.push_back({memory, bytes});
}

std::uint64_t MemoryBudget::discarded_bytes() const {
  std::uint64_t bytes = 0;
  for (const Discarded& one : discarded_) bytes += one.bytes;
  return bytes;
}

Status MemoryBudget::GiveBack(const StepControl& control) {
  while (!discarded_.empty()) {
    FALLOW_RETURN_IF_ERROR(control.GoOn());
    FreePiece();
  }
  return {};
}

// The last first: the end of a heap goes back to the system, and what is below it then is the end.
void MemoryBudget::FreePiece() {
  Discarded& last = discarded_.back();
  if (last.bytes > kPieceBytes) {
    // Large memory is cut in place, by C libraries that keep it apart from their heap.
    const std::size_t left = last.bytes - kPieceBytes;
    if (void* const shorter = std::realloc(last.memory, left); shorter != nullptr) {
      last = {shorter, left};
      return;
    }
  }
  std::free(last.memory);
  discarded_.pop_back();
}

}  // namespace fallow::engine
