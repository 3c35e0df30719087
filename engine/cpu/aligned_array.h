// An AlignedArray is a zeroed array of plain values that starts on a cache line.
//
// The system gives a large one its memory only where it is written: caches made for the longest
// sequences cost what the sequences that come fill. One that goes leaves its memory to the budget,
// which outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <type_traits>

#include "engine/cpu/memory_budget.h"

namespace fallow::engine {

template <class T>
class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedArray() = default;
  // Empty when the system has no memory left.
  AlignedArray(MemoryBudget& budget, std::size_t count)
      : memory_(std::calloc(1, count * sizeof(T) + kAlignmentBytes),
                {&budget, count * sizeof(T) + kAlignmentBytes}) {
    if (memory_ == nullptr) return;
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    const std::uintptr_t skipped = (kAlignmentBytes - address % kAlignmentBytes) % kAlignmentBytes;
    data_ = reinterpret_cast<T*>(static_cast<std::byte*>(memory_.get()) + skipped);
    count_ = count;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  static constexpr std::size_t kAlignmentBytes = 64;
  struct Discard {
    MemoryBudget* budget = nullptr;
    std::size_t bytes = 0;
    void operator()(void* memory) const { budget->Discard(memory, bytes); }
  };
  std::unique_ptr<void, Discard> memory_;
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace fallow::engine
