// Results of Vulkan calls as errors.
#pragma once

#include <volk.h>

#include <string_view>

#include "base/result.h"

namespace fallow::engine {

// OK for VK_SUCCESS. kResourceExhausted when memory ran out, kUnavailable when the device was lost,
// kInternal otherwise; the message names `what` was tried and the result.
Status VulkanStatus(VkResult result, std::string_view what);

}  // namespace fallow::engine
