#include "engine/vulkan/device.h"

#include <vector>

#include "base/log.h"
#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {

namespace {

// The extensions and features of a device that is being opened. The features live as long as this.
class Request {
 public:
  explicit Request(const DevicePlan& plan) {
    if (plan.full_subgroups) {
      size_control_.subgroupSizeControl = VK_TRUE;
      size_control_.computeFullSubgroups = VK_TRUE;
      Add(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, size_control_);
    }
    if (plan.packed_dot) {
      dot_.shaderIntegerDotProduct = VK_TRUE;
      Add(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, dot_);
    }
    if (plan.memory_priority) {
      memory_priority_.memoryPriority = VK_TRUE;
      Add(VK_EXT_MEMORY_PRIORITY_EXTENSION_NAME, memory_priority_);
    }
    if (plan.pageable_device_memory) {
      pageable_.pageableDeviceLocalMemory = VK_TRUE;
      Add(VK_EXT_PAGEABLE_DEVICE_LOCAL_MEMORY_EXTENSION_NAME, pageable_);
    }
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  VkResult Open(VkPhysicalDevice physical, std::uint32_t queue_family, PriorityExtension low,
                VkDevice* device) {
    const float priority = 0;  // among our own queues, of which there is one
    const VkDeviceQueueGlobalPriorityCreateInfoKHR global{
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_GLOBAL_PRIORITY_CREATE_INFO_KHR,
        .pNext = nullptr,
        .globalPriority = VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR};
    std::vector<const char*> extensions = extensions_;
    VkDeviceQueueCreateInfo queue{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    if (low != PriorityExtension::kNone) {
      queue.pNext = &global;
      extensions.push_back(low == PriorityExtension::kKhr ? VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME
                                                          : VK_EXT_GLOBAL_PRIORITY_EXTENSION_NAME);
    }
    queue.queueFamilyIndex = queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo create{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = features_};
    create.queueCreateInfoCount = 1;
    create.pQueueCreateInfos = &queue;
    create.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    create.ppEnabledExtensionNames = extensions.data();
    return vkCreateDevice(physical, &create, nullptr, device);
  }

 private:
  template <class Features>
  void Add(const char* extension, Features& features) {
    extensions_.push_back(extension);
    features.pNext = features_;
    features_ = &features;
  }

  std::vector<const char*> extensions_;
  void* features_ = nullptr;
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT size_control_{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT};
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot_{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR};
  VkPhysicalDeviceMemoryPriorityFeaturesEXT memory_priority_{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PRIORITY_FEATURES_EXT};
  VkPhysicalDevicePageableDeviceLocalMemoryFeaturesEXT pageable_{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PAGEABLE_DEVICE_LOCAL_MEMORY_FEATURES_EXT};
};

// How drivers refuse a priority, whether or not they offered it.
bool MayBeThePriority(VkResult result) {
  return result == VK_ERROR_NOT_PERMITTED_KHR || result == VK_ERROR_INITIALIZATION_FAILED;
}

}  // namespace

Result<std::unique_ptr<VulkanDevice>> VulkanDevice::Open(std::unique_ptr<VulkanInstance> instance,
                                                         VkPhysicalDevice physical,
                                                         const DevicePlan& plan) {
  std::unique_ptr<VulkanDevice> self(new VulkanDevice(std::move(instance), plan));
  Request request(plan);
  VkResult result = request.Open(physical, plan.queue_family, plan.low_priority, &self->handle_);
  self->has_low_priority_ = result == VK_SUCCESS && plan.low_priority != PriorityExtension::kNone;
  if (plan.low_priority != PriorityExtension::kNone && MayBeThePriority(result)) {
    LOG_INFO("vulkan: the driver refuses a queue of low priority");
    result = request.Open(physical, plan.queue_family, PriorityExtension::kNone, &self->handle_);
  }
  FALLOW_RETURN_IF_ERROR(VulkanStatus(result, "opening the Vulkan device"));
  self->identity_ = IdentityOf(physical);
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
