#include "engine/vulkan/device.h"

#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {

Result<std::unique_ptr<VulkanDevice>> VulkanDevice::Open(std::unique_ptr<VulkanInstance> instance,
                                                         VkPhysicalDevice physical,
                                                         const DevicePlan& plan) {
  std::unique_ptr<VulkanDevice> self(new VulkanDevice(std::move(instance), plan));
  const float priority = 0;  // the owner's work comes first
  VkDeviceQueueCreateInfo queue{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = plan.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;

  std::vector<const char*> extensions;
  VkDeviceCreateInfo create{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT size_control{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT};
  if (plan.full_subgroups) {
    size_control.subgroupSizeControl = VK_TRUE;
    size_control.computeFullSubgroups = VK_TRUE;
    size_control.pNext = const_cast<void*>(create.pNext);
    create.pNext = &size_control;
    extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  }
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR};
  if (plan.packed_dot) {
    dot.shaderIntegerDotProduct = VK_TRUE;
    dot.pNext = const_cast<void*>(create.pNext);
    create.pNext = &dot;
    extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  }
  create.queueCreateInfoCount = 1;
  create.pQueueCreateInfos = &queue;
  create.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  create.ppEnabledExtensionNames = extensions.data();
  FALLOW_RETURN_IF_ERROR(VulkanStatus(vkCreateDevice(physical, &create, nullptr, &self->handle_),
                                      "opening the Vulkan device"));
  volkLoadDeviceTable(&self->calls_, self->handle_);
  self->calls_.vkGetDeviceQueue(self->handle_, plan.queue_family, 0, &self->queue_);
  return self;
}

VulkanDevice::~VulkanDevice() {
  if (handle_ == VK_NULL_HANDLE) return;
  calls_.vkDeviceWaitIdle(handle_);
  calls_.vkDestroyDevice(handle_, nullptr);
}

}  // namespace fallow::engine
