#include "engine/vulkan/binding_sets.h"

#include <algorithm>

#include "base/check.h"
#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kSetsPerPool = 128;

}  // namespace

BindingSets::~BindingSets() {
  for (VkDescriptorPool pool : pools_)
    device_.calls().vkDestroyDescriptorPool(device_.handle(), pool, nullptr);
}

void BindingSets::DropStale() {
  if (destroyed_blocks_ == memory_.destroyed_blocks()) return;
  destroyed_blocks_ = memory_.destroyed_blocks();
  sets_.clear();
  for (VkDescriptorPool pool : pools_)
    device_.calls().vkDestroyDescriptorPool(device_.handle(), pool, nullptr);
  pools_.clear();
  left_in_pool_ = 0;
}

Result<VkDescriptorSet> BindingSets::Find(const BoundBlocks& blocks) {
  const auto found = sets_.find(blocks);
  if (found != sets_.end()) return found->second;
  FALLOW_ASSIGN_OR_RETURN(const VkDescriptorSet set, Allocate());
  std::array<VkDescriptorBufferInfo, kBindingCount> buffers{};
  std::array<VkWriteDescriptorSet, kBindingCount> writes{};
  // A kernel may name bindings that its constants then leave unused: they need a buffer all the
  // same.
  const auto any = std::ranges::find_if(blocks, [](std::uint32_t block) { return block != 0; });
  FALLOW_CHECK(any != blocks.end());
  for (std::uint32_t i = 0; i < kBindingCount; ++i) {
    const std::uint32_t block = blocks[i] != 0 ? blocks[i] : *any;
    buffers[i] = {memory_.buffer(block), 0, memory_.block_bytes(block)};
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = set;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  device_.calls().vkUpdateDescriptorSets(device_.handle(), kBindingCount, writes.data(), 0,
                                         nullptr);
  sets_.emplace(blocks, set);
  return set;
}

Result<VkDescriptorSet> BindingSets::Allocate() {
  const VolkDeviceTable& vk = device_.calls();
  if (left_in_pool_ == 0) {
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                    kSetsPerPool * kBindingCount};
    VkDescriptorPoolCreateInfo create{.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
    create.maxSets = kSetsPerPool;
    create.poolSizeCount = 1;
    create.pPoolSizes = &size;
    VkDescriptorPool pool = VK_NULL_HANDLE;
    FALLOW_RETURN_IF_ERROR(
        VulkanStatus(vk.vkCreateDescriptorPool(device_.handle(), &create, nullptr, &pool),
                     "making a descriptor pool"));
    pools_.push_back(pool);
    left_in_pool_ = kSetsPerPool;
  }
  const VkDescriptorSetLayout layout = kernels_.bindings_layout();
  VkDescriptorSetAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  allocate.descriptorPool = pools_.back();
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &layout;
  VkDescriptorSet set = VK_NULL_HANDLE;
  FALLOW_RETURN_IF_ERROR(VulkanStatus(
      vk.vkAllocateDescriptorSets(device_.handle(), &allocate, &set), "making a descriptor set"));
  left_in_pool_--;
  return set;
}

}  // namespace fallow::engine
