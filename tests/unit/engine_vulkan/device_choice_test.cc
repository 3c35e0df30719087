#include "engine/vulkan/device_choice.h"

#include <gmock/gmock.h>

namespace fallow::engine {
namespace {

using testing::HasSubstr;

std::vector<VulkanDeviceInfo> Devices() {
  return {{.index = 0, .name = "llvmpipe (256 bits)", .type = VulkanDeviceType::kCpu},
          {.index = 1, .name = "Arc Graphics", .type = VulkanDeviceType::kIntegrated},
          {.index = 2,
           .name = "Radeon RX 7900",
           .type = VulkanDeviceType::kDiscrete,
           .pci_address = "0000:0b:00.0"},
          {.index = 3,
           .name = "Old Card",
           .type = VulkanDeviceType::kDiscrete,
           .unusable_reason = "Old Card cannot be used: Vulkan 1.2 is needed, it has 1.0"}};
}

TEST(DeviceChoice, TakesTheBestByItself) {
  EXPECT_EQ(ChooseDevice(Devices(), "").value(), 2u);
  std::vector<VulkanDeviceInfo> devices = Devices();
  devices.resize(2);
  EXPECT_EQ(ChooseDevice(devices, "").value(), 1u);
}

TEST(DeviceChoice, KnowsIndexTypeAndPartOfTheName) {
  EXPECT_EQ(ChooseDevice(Devices(), "1").value(), 1u);
  EXPECT_EQ(ChooseDevice(Devices(), "CPU").value(), 0u);
  EXPECT_EQ(ChooseDevice(Devices(), "radeon").value(), 2u);
}

TEST(DeviceChoice, KnowsAPciAddress) {
  EXPECT_EQ(ChooseDevice(Devices(), "0000:0B:00.0").value(), 2u);
  EXPECT_FALSE(ChooseDevice(Devices(), "0000:0c:00.0").has_value());
}

TEST(DeviceChoice, TakesTheFirstOfSeveralThatCanBeUsed) {
  EXPECT_EQ(ChooseDevice(Devices(), "old,1,2").value(), 1u);
  EXPECT_EQ(ChooseDevice(Devices(), "geforce,0000:0b:00.0").value(), 2u);
  EXPECT_EQ(ChooseDevice(Devices(), "geforce,old").error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(ChooseDevice(Devices(), ",").error().code, ErrorCode::kNotFound);
}

TEST(DeviceChoice, ListsWhatThereIsWhenNothingMatches) {
  const auto none = ChooseDevice(Devices(), "geforce");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("geforce"));
  EXPECT_THAT(none.error().message, HasSubstr("1 \"Arc Graphics\" (integrated)"));
  EXPECT_EQ(ChooseDevice({}, "").error().code, ErrorCode::kNotFound);
}

TEST(DeviceChoice, SaysWhyANamedDeviceCannotBeUsed) {
  const auto old = ChooseDevice(Devices(), "3");
  ASSERT_FALSE(old.has_value());
  EXPECT_EQ(old.error().code, ErrorCode::kUnimplemented);
  EXPECT_THAT(old.error().message, HasSubstr("it has 1.0"));
}

}  // namespace
}  // namespace fallow::engine
