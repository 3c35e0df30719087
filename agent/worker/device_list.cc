#include "agent/worker/device_list.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/vulkan_backend.h"

namespace fallow {
namespace {

std::string_view TypeName(engine::VulkanDeviceType type) {
  switch (type) {
    case engine::VulkanDeviceType::kDiscrete:
      return "discrete";
    case engine::VulkanDeviceType::kIntegrated:
      return "integrated";
    case engine::VulkanDeviceType::kVirtual:
      return "virtual";
    case engine::VulkanDeviceType::kCpu:
      return "cpu";
    case engine::VulkanDeviceType::kOther:
      return "other";
  }
  FALLOW_UNREACHABLE();
}

double Gib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1u << 30);
}

}  // namespace

std::string DeviceTable() {
  const auto cpu = engine::NewCpuBackend({});
  std::string text = fmt::format("--backend cpu                {}, {:.1f} GiB\n",
                                 cpu->info().processor, Gib(cpu->info().memory_bytes));
  const auto devices = engine::ListVulkanDevices();
  if (!devices)
    return text + fmt::format("--backend vulkan             none: {}\n", devices.error().message);
  for (const engine::VulkanDeviceInfo& device : *devices) {
    text += fmt::format(
        "--backend vulkan --device {:<2} {} ({}{}{}), {}, {:.1f} GiB{}\n", device.index,
        device.name, TypeName(device.type), device.pci_address.empty() ? "" : ", ",
        device.pci_address, device.driver, Gib(device.memory_bytes),
        device.unusable_reason.empty() ? "" : "; not usable: " + device.unusable_reason);
  }
  return text;
}

std::string DeviceJson() {
  const auto cpu = engine::NewCpuBackend({});
  nlohmann::json json;
  json["cpu"] = {{"processor", cpu->info().processor}, {"memory_bytes", cpu->info().memory_bytes}};
  json["vulkan"] = nlohmann::json::array();
  json["vulkan_error"] = nullptr;
  const auto devices = engine::ListVulkanDevices();
  if (!devices) {
    json["vulkan_error"] = devices.error().message;
  } else {
    for (const engine::VulkanDeviceInfo& device : *devices) {
      json["vulkan"].push_back({{"index", device.index},
                                {"name", device.name},
                                {"driver", device.driver},
                                {"type", TypeName(device.type)},
                                {"memory_bytes", device.memory_bytes},
                                {"pci_address", device.pci_address},
                                {"unusable_reason", device.unusable_reason}});
    }
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace fallow
