#include "engine/vulkan/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/log.h"
#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

Status OpenLoader() {
  // Repeated calls keep the library that is open.
  static const VkResult result = volkInitialize();
  if (result == VK_SUCCESS) return {};
  return Fail(ErrorCode::kUnavailable,
              "no Vulkan loader on this machine (libvulkan.so.1): install a Vulkan driver");
}

std::unexpected<Error> NoDriver() {
  return Fail(ErrorCode::kUnavailable,
              "the Vulkan loader found no driver: install one for this machine's GPU");
}

VulkanDeviceType DeviceType(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return VulkanDeviceType::kDiscrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return VulkanDeviceType::kIntegrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return VulkanDeviceType::kVirtual;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return VulkanDeviceType::kCpu;
    default:
      return VulkanDeviceType::kOther;
  }
}

// The names of a device's extensions.
class Extensions {
 public:
  explicit Extensions(VkPhysicalDevice device) {
    std::uint32_t count = 0;
    if (vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr) != VK_SUCCESS)
      return;
    all_.resize(count);
    if (vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all_.data()) != VK_SUCCESS)
      all_.clear();
  }
  bool Has(std::string_view name) const {
    return std::ranges::any_of(all_, [&](const auto& e) { return name == e.extensionName; });
  }

 private:
  std::vector<VkExtensionProperties> all_;
};

template <class Features>
Features AskFor(VkPhysicalDevice device, VkStructureType type) {
  Features wanted{.sType = type};
  VkPhysicalDeviceFeatures2 features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                     .pNext = &wanted};
  vkGetPhysicalDeviceFeatures2(device, &features);
  return wanted;
}

// Of a device with Vulkan 1.2; empty where it is in no PCI slot, as a software driver.
std::string PciAddress(VkPhysicalDevice device, const Extensions& extensions) {
  if (!extensions.Has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME)) return "";
  VkPhysicalDevicePCIBusInfoPropertiesEXT pci{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
  VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &pci};
  vkGetPhysicalDeviceProperties2(device, &properties);
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", pci.pciDomain, pci.pciBus, pci.pciDevice,
                     pci.pciFunction);
}

bool TellsPriorities(VkPhysicalDevice device, const Extensions& extensions) {
  if (!extensions.Has(VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME) &&
      !extensions.Has(VK_EXT_GLOBAL_PRIORITY_QUERY_EXTENSION_NAME))
    return false;
  return AskFor<VkPhysicalDeviceGlobalPriorityQueryFeaturesKHR>(
             device, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_GLOBAL_PRIORITY_QUERY_FEATURES_KHR)
             .globalPriorityQuery == VK_TRUE;
}

std::vector<QueueFamilySnapshot> TakeQueueFamilies(VkPhysicalDevice device, bool ask_priorities) {
  std::uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties2(device, &count, nullptr);
  std::vector<VkQueueFamilyGlobalPriorityPropertiesKHR> priorities(
      count, {.sType = VK_STRUCTURE_TYPE_QUEUE_FAMILY_GLOBAL_PRIORITY_PROPERTIES_KHR});
  std::vector<VkQueueFamilyProperties2> families(
      count, {.sType = VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2});
  for (std::uint32_t i = 0; ask_priorities && i < count; ++i) families[i].pNext = &priorities[i];
  vkGetPhysicalDeviceQueueFamilyProperties2(device, &count, families.data());
  std::vector<QueueFamilySnapshot> snapshots;
  for (std::uint32_t i = 0; i < count; ++i) {
    const VkQueueFamilyProperties& family = families[i].queueFamilyProperties;
    QueueFamilySnapshot& s = snapshots.emplace_back();
    s.compute = (family.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
    s.graphics = (family.queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0;
    s.timestamp_bits = family.timestampValidBits;
    const std::span offered(priorities[i].priorities,
                            std::min(priorities[i].priorityCount, VK_MAX_GLOBAL_PRIORITY_SIZE_KHR));
    if (ask_priorities)
      s.low_priority =
          std::ranges::find(offered, VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR) != offered.end();
  }
  return snapshots;
}

// What lets others go first.
void TakeManners(VkPhysicalDevice device, const Extensions& extensions, DeviceSnapshot& s) {
  if (extensions.Has(VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME))
    s.priority_extension = PriorityExtension::kKhr;
  else if (extensions.Has(VK_EXT_GLOBAL_PRIORITY_EXTENSION_NAME))
    s.priority_extension = PriorityExtension::kExt;
  s.queue_families = TakeQueueFamilies(device, TellsPriorities(device, extensions));
  if (extensions.Has(VK_EXT_MEMORY_PRIORITY_EXTENSION_NAME))
    s.memory_priority = AskFor<VkPhysicalDeviceMemoryPriorityFeaturesEXT>(
                            device, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PRIORITY_FEATURES_EXT)
                            .memoryPriority == VK_TRUE;
  if (extensions.Has(VK_EXT_PAGEABLE_DEVICE_LOCAL_MEMORY_EXTENSION_NAME))
    s.pageable_device_memory =
        AskFor<VkPhysicalDevicePageableDeviceLocalMemoryFeaturesEXT>(
            device, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PAGEABLE_DEVICE_LOCAL_MEMORY_FEATURES_EXT)
            .pageableDeviceLocalMemory == VK_TRUE;
}

}  // namespace

VKAPI_ATTR VkBool32 VKAPI_CALL
VulkanInstance::Hear(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                     const VkDebugUtilsMessengerCallbackDataEXT* data, void* self) {
  static_cast<VulkanInstance*>(self)->validation_messages_++;
  LOG_WARN("vulkan: {}", data->pMessage);
  return VK_FALSE;
}

Result<std::unique_ptr<VulkanInstance>> VulkanInstance::Open(bool validation) {
  FALLOW_RETURN_IF_ERROR(OpenLoader());
  std::unique_ptr<VulkanInstance> self(new VulkanInstance());
  VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "fallow";
  application.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo create{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  create.pApplicationInfo = &application;
  VkDebugUtilsMessengerCreateInfoEXT listen{
      .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  listen.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  listen.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  listen.pfnUserCallback = Hear;
  listen.pUserData = self.get();
  const char* const extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  if (validation) {
    create.enabledLayerCount = 1;
    create.ppEnabledLayerNames = &kValidationLayer;
    create.enabledExtensionCount = 1;
    create.ppEnabledExtensionNames = &extension;
    create.pNext = &listen;
  }
  const VkResult result = vkCreateInstance(&create, nullptr, &self->handle_);
  if (result == VK_ERROR_LAYER_NOT_PRESENT)
    return Fail(ErrorCode::kUnavailable, fmt::format("{} is not installed", kValidationLayer));
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) return NoDriver();
  FALLOW_RETURN_IF_ERROR(VulkanStatus(result, "creating a Vulkan instance"));
  volkLoadInstanceOnly(self->handle_);
  if (validation)
    FALLOW_RETURN_IF_ERROR(VulkanStatus(
        vkCreateDebugUtilsMessengerEXT(self->handle_, &listen, nullptr, &self->messenger_),
        "listening to the validation layer"));
  return self;
}

VulkanInstance::~VulkanInstance() {
  if (messenger_ != VK_NULL_HANDLE) vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
  if (handle_ != VK_NULL_HANDLE) vkDestroyInstance(handle_, nullptr);
}

Result<std::vector<VkPhysicalDevice>> VulkanInstance::Devices() const {
  std::uint32_t count = 0;
  FALLOW_RETURN_IF_ERROR(
      VulkanStatus(vkEnumeratePhysicalDevices(handle_, &count, nullptr), "listing Vulkan devices"));
  if (count == 0) return NoDriver();
  std::vector<VkPhysicalDevice> devices(count);
  FALLOW_RETURN_IF_ERROR(VulkanStatus(vkEnumeratePhysicalDevices(handle_, &count, devices.data()),
                                      "listing Vulkan devices"));
  return devices;
}

VulkanDeviceInfo DescribeDevice(std::uint32_t index, VkPhysicalDevice device) {
  VkPhysicalDeviceDriverProperties driver{.sType =
                                              VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
  VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &driver};
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceProperties2(device, &properties);
  vkGetPhysicalDeviceMemoryProperties(device, &memory);
  VulkanDeviceInfo info;
  info.index = index;
  info.name = properties.properties.deviceName;
  info.driver = fmt::format("{} {}", driver.driverName, driver.driverInfo);
  info.type = DeviceType(properties.properties.deviceType);
  for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i)
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
      info.memory_bytes = std::max<std::uint64_t>(info.memory_bytes, memory.memoryHeaps[i].size);
  const auto plan = PlanDevice(TakeSnapshot(device), {});
  if (!plan.has_value()) info.unusable_reason = plan.error().message;
  if (properties.properties.apiVersion >= VK_API_VERSION_1_2)
    info.pci_address = PciAddress(device, Extensions(device));
  return info;
}

DeviceSnapshot TakeSnapshot(VkPhysicalDevice device) {
  VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR dot{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR};
  VkPhysicalDeviceMaintenance3Properties maintenance{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceFloatControlsProperties floats{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES, .pNext = &maintenance};
  VkPhysicalDeviceSubgroupProperties subgroups{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &floats};
  VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &subgroups};
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot_feature{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR};
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT size_control{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT};
  VkPhysicalDeviceFeatures2 features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};

  DeviceSnapshot s;
  VkPhysicalDeviceProperties plain;
  vkGetPhysicalDeviceProperties(device, &plain);
  s.name = plain.deviceName;
  s.api_major = VK_API_VERSION_MAJOR(plain.apiVersion);
  s.api_minor = VK_API_VERSION_MINOR(plain.apiVersion);
  if (s.api_major < 1 || (s.api_major == 1 && s.api_minor < 2)) return s;  // what follows needs 1.2
  const Extensions extensions(device);
  if (extensions.Has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
    maintenance.pNext = &dot;
    dot_feature.pNext = features.pNext;
    features.pNext = &dot_feature;
  }
  if (extensions.Has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
    size_control.pNext = features.pNext;
    features.pNext = &size_control;
  }
  vkGetPhysicalDeviceProperties2(device, &properties);
  vkGetPhysicalDeviceFeatures2(device, &features);

  const VkPhysicalDeviceLimits& limits = properties.properties.limits;
  s.max_storage_buffers =
      std::min(limits.maxPerStageDescriptorStorageBuffers, limits.maxDescriptorSetStorageBuffers);
  s.max_argument_bytes = limits.maxPushConstantsSize;
  s.max_range_bytes = limits.maxStorageBufferRange;
  s.max_allocation_bytes = maintenance.maxMemoryAllocationSize;
  s.offset_alignment_bytes = limits.minStorageBufferOffsetAlignment;
  s.max_workgroups = {limits.maxComputeWorkGroupCount[0], limits.maxComputeWorkGroupCount[1],
                      limits.maxComputeWorkGroupCount[2]};
  s.max_workgroup_lanes =
      std::min(limits.maxComputeWorkGroupSize[0], limits.maxComputeWorkGroupInvocations);
  s.shared_memory_bytes = limits.maxComputeSharedMemorySize;
  s.subgroup_lanes = subgroups.subgroupSize;
  constexpr VkSubgroupFeatureFlags kNeeded =
      VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  s.subgroup_shuffle_in_compute = (subgroups.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
                                  (subgroups.supportedOperations & kNeeded) == kNeeded;
  s.full_subgroups =
      size_control.subgroupSizeControl == VK_TRUE && size_control.computeFullSubgroups == VK_TRUE;
  s.preserves_special_values = floats.shaderSignedZeroInfNanPreserveFloat32 == VK_TRUE;
  s.rounds_to_nearest_even = floats.shaderRoundingModeRTEFloat32 == VK_TRUE;
  s.packed_dot = dot_feature.shaderIntegerDotProduct == VK_TRUE;
  s.packed_dot_accelerated = dot.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;

  s.ns_per_tick = static_cast<double>(limits.timestampPeriod);
  TakeManners(device, extensions, s);

  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 memory_properties{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  if (extensions.Has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME)) memory_properties.pNext = &budget;
  vkGetPhysicalDeviceMemoryProperties2(device, &memory_properties);
  const VkPhysicalDeviceMemoryProperties& memory = memory_properties.memoryProperties;
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const std::uint32_t heap = memory.memoryTypes[i].heapIndex;
    const VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    s.memory_types.push_back({.device_local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0,
                              .host_visible = (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0,
                              .host_coherent = (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0,
                              .host_cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0,
                              .heap_bytes = memory.memoryHeaps[heap].size,
                              .budget_bytes = budget.heapBudget[heap]});
  }
  return s;
}

}  // namespace fallow::engine
