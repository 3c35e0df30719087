// A MemoryBudget counts the CPU backend's memory against a cap, and gives it back to the system in
// pieces.
//
// Threading: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/step_control.h"

namespace fallow::engine {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  std::uint64_t limit_bytes() const { return limit_bytes_; }
  std::uint64_t used_bytes() const { return used_bytes_; }
  bool Take(std::uint64_t bytes) {
    if (bytes > limit_bytes_ - used_bytes_) return false;
    used_bytes_ += bytes;
    return true;
  }
  void Return(std::uint64_t bytes) { used_bytes_ -= bytes; }

  // Takes over `bytes` of malloc's memory that nobody uses any more. They are freed by GiveBack, or
  // at once where that takes no time.
  void Discard(void* memory, std::size_t bytes);
  std::uint64_t discarded_bytes() const;
  // kCancelled when it was stopped between two pieces: the next call goes on.
  Status GiveBack(const StepControl& control);

 private:
  struct Discarded {
    void* memory = nullptr;
    std::size_t bytes = 0;
  };
  void FreePiece();

  std::uint64_t limit_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::vector<Discarded> discarded_;
};

// Bytes that were taken, returned when it goes.
class MemoryShare {
 public:
  MemoryShare(MemoryBudget& budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
  ~MemoryShare() { budget_.Return(bytes_); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

 private:
  MemoryBudget& budget_;
  std::uint64_t bytes_;
};

}  // namespace fallow::engine
