// A KernelSet makes pipelines of the project's kernels on a device, each when it is first needed.
// To make one is to wait for the driver's compiler, which nothing stops.
//
// Invariant: every kernel has the same layout: kBindingCount storage buffers and kMaxArgumentBytes
// of arguments. Threading: one thread.
#pragma once

#include <volk.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/vulkan/compiled_kernels.h"
#include "engine/vulkan/device.h"

namespace fallow::engine {

// Values of a kernel's specialization constants 1 to 6; constant 0 is the workgroup's lanes.
using KernelConstants = std::array<std::uint32_t, 6>;

// A kernel with its constants, lives as long as its set.
struct Kernel {
  std::string_view name;
  KernelConstants constants{};
  VkPipeline pipeline = VK_NULL_HANDLE;  // until it is made
  // Some drivers compile only then.
  bool has_run = false;
};

class KernelSet {
 public:
  // `store` may be null; it must outlive the set.
  static Result<std::unique_ptr<KernelSet>> Create(const VulkanDevice& device, KernelStore* store);
  ~KernelSet();
  KernelSet(const KernelSet&) = delete;
  KernelSet& operator=(const KernelSet&) = delete;

  // Asks nothing of the driver.
  Kernel& Find(std::string_view name, const KernelConstants& constants);
  // Nothing is done for one that is made.
  Status Make(Kernel& kernel);

  VkDescriptorSetLayout bindings_layout() const { return bindings_layout_; }
  VkPipelineLayout layout() const { return layout_; }

 private:
  KernelSet(const VulkanDevice& device, KernelStore* store)
      : device_(device), compiled_(device.calls(), device.handle(), device.identity(), store) {}
  Result<VkPipeline> MakePipeline(const Kernel& kernel) const;

  const VulkanDevice& device_;
  VkDescriptorSetLayout bindings_layout_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  CompiledKernels compiled_;
  std::map<std::pair<std::string_view, KernelConstants>, Kernel> kernels_;
};

}  // namespace fallow::engine
