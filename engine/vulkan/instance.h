// A VulkanInstance is the opened Vulkan loader: the devices there are, and what they report.
//
// Threading: one thread.
#pragma once

#include <volk.h>

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/vulkan/device_plan.h"
#include "engine/vulkan/vulkan_backend.h"

namespace fallow::engine {

class VulkanInstance {
 public:
  // kUnavailable without a loader, a driver or, when asked for, the validation layer.
  static Result<std::unique_ptr<VulkanInstance>> Open(bool validation);
  ~VulkanInstance();
  VulkanInstance(const VulkanInstance&) = delete;
  VulkanInstance& operator=(const VulkanInstance&) = delete;

  // At least one; kUnavailable when there is none.
  Result<std::vector<VkPhysicalDevice>> Devices() const;

  // Warnings and errors of the validation layer so far.
  std::uint64_t validation_messages() const { return validation_messages_; }

 private:
  VulkanInstance() = default;
  static VKAPI_ATTR VkBool32 VKAPI_CALL Hear(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                             VkDebugUtilsMessageTypeFlagsEXT types,
                                             const VkDebugUtilsMessengerCallbackDataEXT* data,
                                             void* self);

  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::uint64_t validation_messages_ = 0;
};

VulkanDeviceInfo DescribeDevice(std::uint32_t index, VkPhysicalDevice device);
DeviceSnapshot TakeSnapshot(VkPhysicalDevice device);

}  // namespace fallow::engine
