// BindingSets keeps a descriptor set for each combination of blocks that kernels were given, so
// that a steady run allocates none.
//
// Threading: one thread.
#pragma once

#include <volk.h>

#include <array>
#include <map>
#include <vector>

#include "base/result.h"
#include "engine/vulkan/device.h"
#include "engine/vulkan/kernel_set.h"
#include "engine/vulkan/memory_pool.h"

namespace fallow::engine {

// Block numbers by binding; 0 where the kernel has none.
using BoundBlocks = std::array<std::uint32_t, kBindingCount>;

class BindingSets {
 public:
  BindingSets(const VulkanDevice& device, const KernelSet& kernels, const MemoryPool& memory)
      : device_(device), kernels_(kernels), memory_(memory) {}
  ~BindingSets();
  BindingSets(const BindingSets&) = delete;
  BindingSets& operator=(const BindingSets&) = delete;

  // Forgets the sets that may name destroyed blocks. Nothing may be in flight.
  void DropStale();
  Result<VkDescriptorSet> Find(const BoundBlocks& blocks);

 private:
  Result<VkDescriptorSet> Allocate();

  const VulkanDevice& device_;
  const KernelSet& kernels_;
  const MemoryPool& memory_;
  std::vector<VkDescriptorPool> pools_;
  std::uint32_t left_in_pool_ = 0;
  std::map<BoundBlocks, VkDescriptorSet> sets_;
  std::uint64_t destroyed_blocks_ = 0;
};

}  // namespace fallow::engine
