// A RangeAllocator hands out ranges of one block of memory: first fit, neighbours joined when they
// are freed.
//
// Invariant: ranges handed out never overlap.
// Threading: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace fallow::engine {

class RangeAllocator {
 public:
  // Offsets and sizes are rounded up to `alignment`, a power of two.
  RangeAllocator(std::uint64_t size, std::uint64_t alignment);

  // The offset of a free range, or nullopt when none is long enough. size > 0.
  std::optional<std::uint64_t> Allocate(std::uint64_t size);
  // `offset` came from Allocate and was not freed since.
  void Free(std::uint64_t offset);

  bool empty() const { return used_.empty(); }

 private:
  std::uint64_t alignment_;
  std::map<std::uint64_t, std::uint64_t> free_;  // size by offset
  std::map<std::uint64_t, std::uint64_t> used_;
};

}  // namespace fallow::engine
