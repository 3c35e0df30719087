// Transfers moves bytes between the host and device memory: directly where the host can reach it,
// else through staging memory.
//
// Invariant: nothing is in flight between calls. Staging memory is a ring of kRingChunks chunks, so
// that the host fills one while the device copies another; it and the memory for reading back are
// made at first use and kept, no longer than kMaxTransferBytes each unless a single unit is.
// Threading: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/vulkan/memory_pool.h"
#include "engine/vulkan/step_queue.h"

namespace fallow::engine {

class Transfers {
 public:
  static constexpr std::uint32_t kRingChunks = StepQueue::kCopyTurns;
  static constexpr std::uint64_t kMaxTransferBytes = std::uint64_t{8} << 20;

  // Fills `out`, which begins `offset` bytes after the first.
  using Fill = std::function<Status(std::uint64_t offset, std::span<std::uint8_t> out)>;
  using Take = std::function<void(std::uint64_t offset, ByteView bytes)>;

  Transfers(const DevicePlan& plan, MemoryPool& memory, StepQueue& queue)
      : plan_(plan), memory_(memory), queue_(queue) {}

  // Fills the first `bytes` of `memory`, in runs of whole units (the last may be shorter).
  // kCancelled when it is stopped between two.
  Status Write(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes,
               const Fill& fill, const StepControl& control);
  // Hands over the first `bytes` of `memory`, in runs of whole units.
  Status Read(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes,
              const Take& take);
  // kCancelled, with nothing allocated, when it is stopped while the memory is cleared.
  Result<MemoryRange> AllocateZeros(std::uint64_t bytes, std::string_view what,
                                    const StepControl& control);

 private:
  Status WriteMapped(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t run_bytes,
                     const Fill& fill, const StepControl& control);
  Status WriteStaged(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t run_bytes,
                     const Fill& fill, const StepControl& control);
  Status Clear(const MemoryRange& memory, const StepControl& control);
  // The most whole units within `bytes`, at least one.
  static std::uint64_t RunBytes(std::uint64_t bytes, std::uint64_t unit_bytes) {
    return bytes < unit_bytes ? unit_bytes : bytes / unit_bytes * unit_bytes;
  }

  const DevicePlan& plan_;
  MemoryPool& memory_;
  StepQueue& queue_;
  std::array<MemoryRange, kRingChunks> ring_;
  MemoryRange readback_;
};

}  // namespace fallow::engine
