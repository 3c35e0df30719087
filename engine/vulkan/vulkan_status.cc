#include "engine/vulkan/vulkan_status.h"

#include <fmt/format.h>

namespace fallow::engine {

Status VulkanStatus(VkResult result, std::string_view what) {
  switch (result) {
    case VK_SUCCESS:
      return {};
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
      return Fail(ErrorCode::kResourceExhausted, fmt::format("{}: out of memory", what));
    case VK_ERROR_DEVICE_LOST:
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: the device was lost (reset or removed)", what));
    default:
      return Fail(ErrorCode::kInternal,
                  fmt::format("{}: Vulkan error {}", what, static_cast<int>(result)));
  }
}

}  // namespace fallow::engine
