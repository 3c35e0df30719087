// A MemoryPool gives out ranges of device memory from blocks of many, so that kernels find what
// they read together in one binding.
//
// Invariants: a block is one buffer, no longer than a binding may be; blocks of device memory
// together are no more than the plan's memory_bytes. Blocks grow with what is there already, so
// that their unused ends are at most a few percent of it (NewBlockBytes). A block of device memory
// whose ranges are all back stands empty, to be used again or given back. Threading: one thread.
#pragma once

#include <volk.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "base/result.h"
#include "engine/step_control.h"
#include "engine/vulkan/device.h"
#include "engine/vulkan/range_allocator.h"

namespace fallow::engine {

enum class MemoryKind : std::uint8_t { kDevice, kUpload, kReadback };

// How long a block of memory is made for a range of `size` bytes that fits in none, when the blocks
// of device memory hold `reserved` bytes. Host memory comes one range a block.
std::uint64_t NewBlockBytes(MemoryKind kind, std::uint64_t size, std::uint64_t reserved);

class MemoryPool;

// A range of a block; given back when it goes. Empty by default.
class MemoryRange {
 public:
  MemoryRange() = default;
  MemoryRange(MemoryPool* pool, std::uint32_t block, std::uint64_t offset, std::uint64_t size,
              std::uint8_t* mapped)
      : pool_(pool), block_(block), offset_(offset), size_(size), mapped_(mapped) {}
  MemoryRange(MemoryRange&& other) noexcept { Swap(other); }
  MemoryRange& operator=(MemoryRange&& other) noexcept {
    MemoryRange moved(std::move(other));
    Swap(moved);
    return *this;
  }
  ~MemoryRange();

  explicit operator bool() const { return pool_ != nullptr; }
  std::uint32_t block() const { return block_; }
  std::uint64_t offset() const { return offset_; }
  std::uint64_t size() const { return size_; }
  // Where an element of `element_bytes` of this range is counted from in its block.
  std::uint32_t ElementOffset(std::uint32_t element_bytes) const {
    return static_cast<std::uint32_t>(offset_ / element_bytes);
  }
  // Null when the host cannot reach the memory.
  std::uint8_t* mapped() const { return mapped_; }

 private:
  void Swap(MemoryRange& other) {
    std::swap(pool_, other.pool_);
    std::swap(block_, other.block_);
    std::swap(offset_, other.offset_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
  }

  MemoryPool* pool_ = nullptr;
  std::uint32_t block_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t size_ = 0;
  std::uint8_t* mapped_ = nullptr;
};

class MemoryPool {
 public:
  explicit MemoryPool(const VulkanDevice& device) : device_(device) {}
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // kResourceExhausted, naming `what`, its size and what is left, when it is longer than a binding
  // may be or there is no room.
  Result<MemoryRange> Allocate(MemoryKind kind, std::uint64_t bytes, std::string_view what);

  // What a range of `bytes` takes: whole alignments.
  std::uint64_t RangeBytes(std::uint64_t bytes) const;
  // Device memory in ranges that are out, in all blocks, and in those of them that stand empty.
  std::uint64_t used_bytes() const { return used_bytes_; }
  std::uint64_t reserved_bytes() const { return reserved_bytes_; }
  std::uint64_t empty_bytes() const;
  // Destroys blocks that stand empty. kCancelled when it was stopped between two.
  Status GiveBack(const StepControl& control);

  // Numbers of blocks are never used again.
  VkBuffer buffer(std::uint32_t block) const { return blocks_.at(block)->buffer; }
  std::uint64_t block_bytes(std::uint32_t block) const { return blocks_.at(block)->bytes; }
  // Grows whenever a block's buffer is destroyed.
  std::uint64_t destroyed_blocks() const { return destroyed_blocks_; }

 private:
  friend class MemoryRange;
  struct Block {
    Block(std::uint64_t size, std::uint64_t alignment) : bytes(size), ranges(size, alignment) {}
    bool stands_empty() const { return kind == MemoryKind::kDevice && ranges.empty(); }
    MemoryKind kind = MemoryKind::kDevice;
    std::uint64_t bytes;
    RangeAllocator ranges;
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    std::uint8_t* mapped = nullptr;
  };

  using Blocks = std::map<std::uint32_t, std::unique_ptr<Block>>;

  // A block for a range of `size`, the first in it.
  Result<std::uint32_t> NewBlockFor(MemoryKind kind, std::uint64_t size, std::string_view what);
  Result<std::uint32_t> NewBlock(MemoryKind kind, std::uint64_t bytes);
  MemoryRange TakeRange(std::uint32_t number, std::uint64_t offset, std::uint64_t size);
  void DestroyBlock(Block& block);
  Blocks::iterator Erase(Blocks::iterator block);
  void Free(const MemoryRange& range);

  const VulkanDevice& device_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t reserved_bytes_ = 0;
  Blocks blocks_;
  std::uint32_t last_block_ = 0;
  std::uint64_t destroyed_blocks_ = 0;
};

}  // namespace fallow::engine
