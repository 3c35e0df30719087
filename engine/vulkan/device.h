// A VulkanDevice is an opened device with its one queue, used as its plan says.
//
// Threading: one thread.
#pragma once

#include <volk.h>

#include <memory>

#include "base/result.h"
#include "engine/vulkan/compiled_kernels.h"
#include "engine/vulkan/device_plan.h"
#include "engine/vulkan/instance.h"

namespace fallow::engine {

class VulkanDevice {
 public:
  static Result<std::unique_ptr<VulkanDevice>> Open(std::unique_ptr<VulkanInstance> instance,
                                                    VkPhysicalDevice physical,
                                                    const DevicePlan& plan);
  ~VulkanDevice();
  VulkanDevice(const VulkanDevice&) = delete;
  VulkanDevice& operator=(const VulkanDevice&) = delete;

  const DevicePlan& plan() const { return plan_; }
  const VulkanInstance& instance() const { return *instance_; }
  VkDevice handle() const { return handle_; }
  const DriverIdentity& identity() const { return identity_; }
  VkQueue queue() const { return queue_; }
  // Whether our work comes after everybody else's on the device.
  bool has_low_priority() const { return has_low_priority_; }
  const VolkDeviceTable& calls() const { return calls_; }

 private:
  VulkanDevice(std::unique_ptr<VulkanInstance> instance, const DevicePlan& plan)
      : instance_(std::move(instance)), plan_(plan) {}

  std::unique_ptr<VulkanInstance> instance_;
  DevicePlan plan_;
  DriverIdentity identity_;
  VkDevice handle_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  bool has_low_priority_ = false;
  VolkDeviceTable calls_{};
};

}  // namespace fallow::engine
