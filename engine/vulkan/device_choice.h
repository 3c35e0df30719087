// Which of a machine's Vulkan devices is meant.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "engine/vulkan/vulkan_backend.h"

namespace fallow::engine {

// "discrete", "integrated", "virtual", "cpu", "other".
std::string_view VulkanDeviceTypeName(VulkanDeviceType type);

// The index of the device that `wanted` names, as VulkanBackendOptions::device says. kNotFound
// lists what there is; a device that was named but cannot be used is kUnimplemented with its
// reason.
Result<std::uint32_t> ChooseDevice(std::span<const VulkanDeviceInfo> devices,
                                   std::string_view wanted);

}  // namespace fallow::engine
