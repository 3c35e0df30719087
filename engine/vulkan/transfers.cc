#include "engine/vulkan/transfers.h"

#include <algorithm>
#include <cstring>

namespace fallow::engine {
namespace {

// Bytes between two looks at whether a load is stopped, a few milliseconds each on a slow machine:
// that the host repacks, or clears where the system first has to find the memory; and that a device
// clears.
constexpr std::uint64_t kRepackPieceBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kHostClearPieceBytes = std::uint64_t{2} << 20;
constexpr std::uint64_t kDeviceClearPieceBytes = std::uint64_t{64} << 20;

}  // namespace

Status Transfers::Write(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes,
                        const Fill& fill, const StepControl& control) {
  if (bytes == 0) return {};
  const std::uint64_t most = std::min(kRepackPieceBytes, plan_.max_range_bytes);
  const std::uint64_t run_bytes = RunBytes(most, unit_bytes);
  if (memory.mapped() != nullptr) return WriteMapped(memory, bytes, run_bytes, fill, control);
  const Status status = WriteStaged(memory, bytes, run_bytes, fill, control);
  return queue_.Drain(status);
}

Status Transfers::WriteMapped(const MemoryRange& memory, std::uint64_t bytes,
                              std::uint64_t run_bytes, const Fill& fill,
                              const StepControl& control) {
  for (std::uint64_t offset = 0; offset < bytes; offset += run_bytes) {
    FALLOW_RETURN_IF_ERROR(control.GoOn());
    const std::uint64_t count = std::min(run_bytes, bytes - offset);
    FALLOW_RETURN_IF_ERROR(fill(offset, std::span(memory.mapped() + offset, count)));
  }
  return {};
}

Status Transfers::WriteStaged(const MemoryRange& memory, std::uint64_t bytes,
                              std::uint64_t run_bytes, const Fill& fill,
                              const StepControl& control) {
  for (std::uint64_t offset = 0; offset < bytes; offset += run_bytes) {
    FALLOW_RETURN_IF_ERROR(control.GoOn());
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

Result<MemoryRange> Transfers::AllocateZeros(std::uint64_t bytes, std::string_view what,
                                             const StepControl& control) {
  FALLOW_ASSIGN_OR_RETURN(auto memory, memory_.Allocate(MemoryKind::kDevice, bytes, what));
  FALLOW_RETURN_IF_ERROR(Clear(memory, control));
  return memory;
}

Status Transfers::Clear(const MemoryRange& memory, const StepControl& control) {
  const bool by_host = memory.mapped() != nullptr;
  const std::uint64_t most = by_host ? kHostClearPieceBytes : kDeviceClearPieceBytes;
  for (std::uint64_t offset = 0; offset < memory.size(); offset += most) {
    FALLOW_RETURN_IF_ERROR(control.GoOn());
    const std::uint64_t count = std::min(most, memory.size() - offset);
    if (by_host) {
      std::memset(memory.mapped() + offset, 0, count);
      continue;
    }
    FALLOW_RETURN_IF_ERROR(
        queue_.FillWithZeros(memory_.buffer(memory.block()), memory.offset() + offset, count));
  }
  return {};
}

}  // namespace fallow::engine
