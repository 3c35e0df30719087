#include "engine/vulkan/memory_pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {
namespace {

// Blocks hold ranges that kernels find together in one binding, up to so many bytes.
constexpr std::uint64_t kMinDeviceBlockBytes = std::uint64_t{4} << 20;
constexpr std::uint64_t kMaxDeviceBlockBytes = std::uint64_t{64} << 20;
// Of what is reserved already: what the end of the last block may waste.
constexpr std::uint64_t kReservedPerBlock = 32;

}  // namespace

std::uint64_t NewBlockBytes(MemoryKind kind, std::uint64_t size, std::uint64_t reserved) {
  if (kind != MemoryKind::kDevice) return size;
  const std::uint64_t usual =
      std::clamp(reserved / kReservedPerBlock, kMinDeviceBlockBytes, kMaxDeviceBlockBytes);
  // A model's matrices come in a few sizes, again and again: a multiple of this one wastes least.
  return size >= usual ? size : usual / size * size;
}

MemoryRange::~MemoryRange() {
  if (pool_ != nullptr) pool_->Free(*this);
}

MemoryPool::~MemoryPool() {
  for (auto& [number, block] : blocks_) DestroyBlock(*block);
}

std::uint64_t MemoryPool::RangeBytes(std::uint64_t bytes) const {
  const std::uint64_t alignment = device_.plan().offset_alignment_bytes;
  return (std::max<std::uint64_t>(bytes, 1) + alignment - 1) / alignment * alignment;
}

Result<MemoryRange> MemoryPool::Allocate(MemoryKind kind, std::uint64_t bytes,
                                         std::string_view what) {
  const std::uint64_t size = RangeBytes(bytes);
  if (size > device_.plan().max_range_bytes)
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: {} bytes, this device binds at most {} at once", what, bytes,
                            device_.plan().max_range_bytes));
  for (auto& [number, block] : blocks_) {
    if (block->kind != kind) continue;
    if (const auto offset = block->ranges.Allocate(size)) return TakeRange(number, *offset, size);
  }
  auto number = NewBlockFor(kind, size, what);
  if (!number.has_value() && empty_bytes() > 0) {
    FALLOW_RETURN_IF_ERROR(GiveBack(StepControl()));
    number = NewBlockFor(kind, size, what);
  }
  FALLOW_RETURN_IF_ERROR(number);
  return TakeRange(*number, *blocks_.at(*number)->ranges.Allocate(size), size);
}

MemoryRange MemoryPool::TakeRange(std::uint32_t number, std::uint64_t offset, std::uint64_t size) {
  const Block& block = *blocks_.at(number);
  if (block.kind == MemoryKind::kDevice) used_bytes_ += size;
  return MemoryRange(this, number, offset, size,
                     block.mapped == nullptr ? nullptr : block.mapped + offset);
}

Result<std::uint32_t> MemoryPool::NewBlockFor(MemoryKind kind, std::uint64_t size,
                                              std::string_view what) {
  const DevicePlan& plan = device_.plan();
  const std::uint64_t left = plan.memory_bytes - std::min(plan.memory_bytes, reserved_bytes_);
  const auto no_room = [&](std::string_view why) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("no room for {} of {} bytes: {} of the device's {} bytes are left{}",
                            what, size, left, plan.memory_bytes, why));
  };
  if (kind == MemoryKind::kDevice && size > left) return no_room("");
  std::uint64_t wanted = std::min(plan.max_range_bytes, NewBlockBytes(kind, size, reserved_bytes_));
  if (kind == MemoryKind::kDevice) wanted = std::min(wanted, left);
  auto number = NewBlock(kind, wanted);
  // A device with little room left may still have enough for this range alone.
  if (!number.has_value() && size < wanted) number = NewBlock(kind, size);
  if (number.has_value() || number.error().code != ErrorCode::kResourceExhausted) return number;
  return no_room(fmt::format(" by our count, but {}", number.error().message));
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
  // The least: when memory is short, what others keep there stays.
  const VkMemoryPriorityAllocateInfoEXT priority{
      .sType = VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT,
      .pNext = nullptr,
      .priority = 0};
  if (plan.memory_priority) allocate.pNext = &priority;
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
  if (kind == MemoryKind::kDevice) reserved_bytes_ += bytes;
  const std::uint32_t number = ++last_block_;
  blocks_.emplace(number, std::move(block));
  return number;
}

void MemoryPool::DestroyBlock(Block& block) {
  device_.calls().vkDestroyBuffer(device_.handle(), block.buffer, nullptr);
  device_.calls().vkFreeMemory(device_.handle(), block.memory, nullptr);
}

void MemoryPool::Free(const MemoryRange& range) {
  const auto block = blocks_.find(range.block());
  const bool on_device = block->second->kind == MemoryKind::kDevice;
  if (on_device) used_bytes_ -= range.size();
  block->second->ranges.Free(range.offset());
  if (!on_device && block->second->ranges.empty()) Erase(block);
}

std::uint64_t MemoryPool::empty_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [number, block] : blocks_) bytes += block->stands_empty() ? block->bytes : 0;
  return bytes;
}

Status MemoryPool::GiveBack(const StepControl& control) {
  for (auto next = blocks_.begin(); next != blocks_.end();) {
    if (!next->second->stands_empty()) {
      ++next;
      continue;
    }
    FALLOW_RETURN_IF_ERROR(control.GoOn());
    reserved_bytes_ -= next->second->bytes;
    next = Erase(next);
  }
  return {};
}

MemoryPool::Blocks::iterator MemoryPool::Erase(Blocks::iterator block) {
  DestroyBlock(*block->second);
  destroyed_blocks_++;
  return blocks_.erase(block);
}

}  // namespace fallow::engine
