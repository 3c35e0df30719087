#include "engine/vulkan/transfers.h"

#include <algorithm>
#include <cstring>

namespace fallow::engine {

Status Transfers::Write(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes,
                        const Fill& fill) {
  if (bytes == 0) return {};
  if (memory.mapped() != nullptr) return fill(0, std::span(memory.mapped(), bytes));
  const std::uint64_t most = std::min(kMaxTransferBytes / kRingChunks, plan_.max_range_bytes);
  const Status status = WriteStaged(memory, bytes, RunBytes(most, unit_bytes), fill);
  return queue_.Drain(status);
}

Status Transfers::WriteStaged(const MemoryRange& memory, std::uint64_t bytes,
                              std::uint64_t run_bytes, const Fill& fill) {
  for (std::uint64_t offset = 0; offset < bytes; offset += run_bytes) {
    const std::uint64_t count = std::min(run_bytes, bytes - offset);
    FALLOW_ASSIGN_OR_RETURN(const std::uint32_t turn, queue_.AwaitTurn());
    MemoryRange& staging = ring_[turn];
    if (staging.size() < count) {
      staging = {};
      FALLOW_ASSIGN_OR_RETURN(staging,
                              memory_.Allocate(MemoryKind::kUpload, run_bytes, "staging memory"));
    }
    FALLOW_RETURN_IF_ERROR(fill(offset, std::span(staging.mapped(), count)));
    FALLOW_RETURN_IF_ERROR(queue_.StartCopy(turn, {.from = memory_.buffer(staging.block()),
                                                   .from_offset = staging.offset(),
                                                   .to = memory_.buffer(memory.block()),
                                                   .to_offset = memory.offset() + offset,
                                                   .bytes = count}));
  }
  return {};
}

Status Transfers::Read(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes,
                       const Take& take) {
  if (bytes == 0) return {};
  if (memory.mapped() != nullptr && plan_.device_memory_cached) {
    take(0, ByteView(memory.mapped(), bytes));
    return {};
  }
  const std::uint64_t run_bytes =
      RunBytes(std::min(kMaxTransferBytes, plan_.max_range_bytes), unit_bytes);
  if (readback_.size() < std::min(run_bytes, bytes)) {
    readback_ = {};
    FALLOW_ASSIGN_OR_RETURN(
        readback_,
        memory_.Allocate(MemoryKind::kReadback, std::min(run_bytes, bytes), "readback memory"));
  }
  for (std::uint64_t offset = 0; offset < bytes; offset += run_bytes) {
    const std::uint64_t count = std::min(run_bytes, bytes - offset);
    FALLOW_RETURN_IF_ERROR(queue_.Copy({.from = memory_.buffer(memory.block()),
                                        .from_offset = memory.offset() + offset,
                                        .to = memory_.buffer(readback_.block()),
                                        .to_offset = readback_.offset(),
                                        .bytes = count}));
    take(offset, ByteView(readback_.mapped(), count));
  }
  return {};
}

Result<MemoryRange> Transfers::AllocateZeros(std::uint64_t bytes, std::string_view what) {
  FALLOW_ASSIGN_OR_RETURN(auto memory, memory_.Allocate(MemoryKind::kDevice, bytes, what));
  if (memory.mapped() != nullptr) {
    std::memset(memory.mapped(), 0, memory.size());
    return memory;
  }
  FALLOW_RETURN_IF_ERROR(
      queue_.FillWithZeros(memory_.buffer(memory.block()), memory.offset(), memory.size()));
  return memory;
}

}  // namespace fallow::engine
