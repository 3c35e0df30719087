#include "engine/vulkan/vulkan_status.h"

#include <gmock/gmock.h>

namespace fallow::engine {
namespace {

using testing::HasSubstr;

// A lost device ends a step with an error that says so; the program goes on.
TEST(VulkanStatus, TellsALostDeviceFromOneThatIsFull) {
  EXPECT_TRUE(VulkanStatus(VK_SUCCESS, "waiting").has_value());
  const Status lost = VulkanStatus(VK_ERROR_DEVICE_LOST, "waiting for a slice");
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(lost.error().message, HasSubstr("waiting for a slice: the device was lost"));
  EXPECT_EQ(VulkanStatus(VK_ERROR_OUT_OF_DEVICE_MEMORY, "allocating").error().code,
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(VulkanStatus(VK_ERROR_UNKNOWN, "asking").error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace fallow::engine
