#include "engine/vulkan/kernel_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "engine/vulkan/vulkan_status.h"
#include "shaders/kernels.h"
#include "shaders/spirv_module.h"

namespace fallow::engine {
namespace {

// The listed kernel: its name lives as long as the program.
const shaders::Kernel& FindKernel(std::string_view name) {
  const auto kernels = shaders::AllKernels();
  const auto kernel = std::ranges::find(kernels, name, &shaders::Kernel::name);
  FALLOW_CHECK(kernel != kernels.end());
  return *kernel;
}

}  // namespace

Result<std::unique_ptr<KernelSet>> KernelSet::Create(const VulkanDevice& device,
                                                     KernelStore* store) {
  std::unique_ptr<KernelSet> self(new KernelSet(device, store));
  const VolkDeviceTable& vk = device.calls();
  std::array<VkDescriptorSetLayoutBinding, kBindingCount> bindings{};
  for (std::uint32_t i = 0; i < kBindingCount; ++i)
    bindings[i] = {.binding = i,
                   .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                   .descriptorCount = 1,
                   .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                   .pImmutableSamplers = nullptr};
  VkDescriptorSetLayoutCreateInfo set{.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set.bindingCount = kBindingCount;
  set.pBindings = bindings.data();
  FALLOW_RETURN_IF_ERROR(VulkanStatus(
      vk.vkCreateDescriptorSetLayout(device.handle(), &set, nullptr, &self->bindings_layout_),
      "laying out bindings"));
  const VkPushConstantRange arguments{VK_SHADER_STAGE_COMPUTE_BIT, 0, kMaxArgumentBytes};
  VkPipelineLayoutCreateInfo layout{.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &self->bindings_layout_;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &arguments;
  FALLOW_RETURN_IF_ERROR(
      VulkanStatus(vk.vkCreatePipelineLayout(device.handle(), &layout, nullptr, &self->layout_),
                   "laying out kernels"));
  return self;
}

KernelSet::~KernelSet() {
  const VolkDeviceTable& vk = device_.calls();
  for (const auto& [key, kernel] : kernels_)
    vk.vkDestroyPipeline(device_.handle(), kernel.pipeline, nullptr);
  vk.vkDestroyPipelineLayout(device_.handle(), layout_, nullptr);
  vk.vkDestroyDescriptorSetLayout(device_.handle(), bindings_layout_, nullptr);
}

Kernel& KernelSet::Find(std::string_view name, const KernelConstants& constants) {
  const auto found = kernels_.find({name, constants});
  if (found != kernels_.end()) return found->second;
  const std::string_view listed = FindKernel(name).name;
  return kernels_.emplace(std::pair{listed, constants}, Kernel{listed, constants}).first->second;
}

Status KernelSet::Make(Kernel& kernel) {
  if (kernel.pipeline != VK_NULL_HANDLE) return {};
  const auto pipeline = MakePipeline(kernel);
  if (!pipeline.has_value()) return Wrap(pipeline.error(), fmt::format("kernel {}", kernel.name));
  kernel.pipeline = *pipeline;
  return {};
}

Result<VkPipeline> KernelSet::MakePipeline(const Kernel& kernel) const {
  const VolkDeviceTable& vk = device_.calls();
  const auto listed = FindKernel(kernel.name).words;
  std::vector<std::uint32_t> words(listed.begin(), listed.end());
  if (device_.plan().round_to_nearest_even) {
    FALLOW_ASSIGN_OR_RETURN(words, shaders::WithRoundingModeRte(listed));
  }
  VkShaderModuleCreateInfo module_info{.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = words.size() * 4;
  module_info.pCode = words.data();
  VkShaderModule module = VK_NULL_HANDLE;
  FALLOW_RETURN_IF_ERROR(
      VulkanStatus(vk.vkCreateShaderModule(device_.handle(), &module_info, nullptr, &module),
                   "loading its module"));

  std::array<std::uint32_t, 1 + std::tuple_size_v<KernelConstants>> values{
      device_.plan().workgroup_lanes};
  std::ranges::copy(kernel.constants, values.begin() + 1);
  std::array<VkSpecializationMapEntry, values.size()> entries;
  for (std::uint32_t i = 0; i < entries.size(); ++i) entries[i] = {i, i * 4, 4};
  const VkSpecializationInfo special{static_cast<std::uint32_t>(entries.size()), entries.data(),
                                     sizeof(values), values.data()};
  VkComputePipelineCreateInfo create{.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  create.flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT;  // grids are cut into slices
  create.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  if (device_.plan().full_subgroups)
    create.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT;
  create.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  create.stage.module = module;
  create.stage.pName = "main";
  create.stage.pSpecializationInfo = &special;
  create.layout = layout_;
  std::array<std::uint32_t, values.size() + 2> rest{create.flags, create.stage.flags};
  std::ranges::copy(values, rest.begin() + 2);
  const Digest key = compiled_.KeyOf(words, rest);
  const VkPipelineCache cache = compiled_.Open(key);
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result =
      vk.vkCreateComputePipelines(device_.handle(), cache, 1, &create, nullptr, &pipeline);
  compiled_.Close(key, cache, result == VK_SUCCESS);
  vk.vkDestroyShaderModule(device_.handle(), module, nullptr);
  FALLOW_RETURN_IF_ERROR(VulkanStatus(result, "making its pipeline"));
  return pipeline;
}

}  // namespace fallow::engine
