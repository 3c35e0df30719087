#include "engine/vulkan/memory_pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {
namespace {

// Weights of a whole small model in one block, without asking for much more than a small need.
constexpr std::uint64_t kDeviceBlockBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kHostBlockBytes = std::uint64_t{4} << 20;

}  // namespace

MemoryRange::~MemoryRange() {
  if (pool_ != nullptr) pool_->Free(block_, offset_);
}

MemoryPool::~MemoryPool() {
  for (auto& [number, block] : blocks_) DestroyBlock(*block);
}

Result<MemoryRange> MemoryPool::Allocate(MemoryKind kind, std::uint64_t bytes,
                                         std::string_view what) {
  const std::uint64_t alignment = device_.plan().offset_alignment_bytes;
  const std::uint64_t size =
      (std::max<std::uint64_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  if (size > device_.plan().max_range_bytes)
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: {} bytes, this device binds at most {} at once", what, bytes,
                            device_.plan().max_range_bytes));
  for (auto& [number, block] : blocks_) {
    if (block->kind != kind) continue;
    if (const auto offset = block->ranges.Allocate(size))
      return MemoryRange(this, number, *offset, size,
                         block->mapped == nullptr ? nullptr : block->mapped + *offset);
  }
  const std::uint64_t usual = kind == MemoryKind::kDevice ? kDeviceBlockBytes : kHostBlockBytes;
  auto number = NewBlock(kind, std::min(device_.plan().max_range_bytes, std::max(size, usual)));
  // A device with little room left may still have enough for this range alone.
  if (!number.has_value() && size < usual) number = NewBlock(kind, size);
  if (!number.has_value())
    return Wrap(number.error(), fmt::format("no room for {} of {} bytes", what, bytes));
  Block& block = *blocks_.at(*number);
  const std::uint64_t offset = *block.ranges.Allocate(size);
  return MemoryRange(this, *number, offset, size,
                     block.mapped == nullptr ? nullptr : block.mapped + offset);
}

Result<std::uint32_t> MemoryPool::NewBlock(MemoryKind kind, std::uint64_t bytes) {
  const DevicePlan& plan = device_.plan();
  const VolkDeviceTable& vk = device_.calls();
  auto block = std::make_unique<Block>(bytes, plan.offset_alignment_bytes);
  block->kind = kind;
  const auto fail = [&](Status status) -> Result<std::uint32_t> {
    DestroyBlock(*block);
    return std::unexpected(status.error());
  };
  VkBufferCreateInfo create{.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  create.size = bytes;
  create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  if (auto s = VulkanStatus(vk.vkCreateBuffer(device_.handle(), &create, nullptr, &block->buffer),
                            "creating a buffer");
      !s.has_value())
    return fail(std::move(s));
  VkMemoryRequirements requirements;
  vk.vkGetBufferMemoryRequirements(device_.handle(), block->buffer, &requirements);
  const std::uint32_t type = kind == MemoryKind::kDevice   ? plan.device_memory_type
                             : kind == MemoryKind::kUpload ? plan.upload_memory_type
                                                           : plan.readback_memory_type;
  if ((requirements.memoryTypeBits >> type & 1) == 0)
    return fail(
        Fail(ErrorCode::kInternal, fmt::format("memory type {} takes no storage buffers", type)));
  VkMemoryAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  allocate.allocationSize = requirements.size;
  allocate.memoryTypeIndex = type;
  if (auto s =
          VulkanStatus(vk.vkAllocateMemory(device_.handle(), &allocate, nullptr, &block->memory),
                       "allocating device memory");
      !s.has_value())
    return fail(std::move(s));
  if (auto s =
          VulkanStatus(vk.vkBindBufferMemory(device_.handle(), block->buffer, block->memory, 0),
                       "binding device memory");
      !s.has_value())
    return fail(std::move(s));
  if (kind != MemoryKind::kDevice || plan.device_memory_mapped) {
    void* mapped = nullptr;
    if (auto s = VulkanStatus(
            vk.vkMapMemory(device_.handle(), block->memory, 0, VK_WHOLE_SIZE, 0, &mapped),
            "mapping device memory");
        !s.has_value())
      return fail(std::move(s));
    block->mapped = static_cast<std::uint8_t*>(mapped);
  }
  const std::uint32_t number = ++last_block_;
  blocks_.emplace(number, std::move(block));
  return number;
}

void MemoryPool::DestroyBlock(Block& block) {
  device_.calls().vkDestroyBuffer(device_.handle(), block.buffer, nullptr);
  device_.calls().vkFreeMemory(device_.handle(), block.memory, nullptr);
}

void MemoryPool::Free(std::uint32_t number, std::uint64_t offset) {
  const auto block = blocks_.find(number);
  block->second->ranges.Free(offset);
  if (!block->second->ranges.empty()) return;
  DestroyBlock(*block->second);
  blocks_.erase(block);
  destroyed_blocks_++;
}

}  // namespace fallow::engine
