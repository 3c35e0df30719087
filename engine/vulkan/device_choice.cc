#include "engine/vulkan/device_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>

namespace fallow::engine {
namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string ListOf(std::span<const VulkanDeviceInfo> devices) {
  std::string list;
  for (const VulkanDeviceInfo& d : devices)
    list += fmt::format("{}{} \"{}\" ({})", list.empty() ? "" : ", ", d.index, d.name,
                        VulkanDeviceTypeName(d.type));
  return list.empty() ? "none" : list;
}

std::optional<std::uint32_t> Number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool Matches(const VulkanDeviceInfo& device, std::string_view wanted) {
  if (wanted.empty()) return false;
  if (const auto index = Number(wanted)) return device.index == *index;
  const std::string low = Lower(wanted);
  return low == VulkanDeviceTypeName(device.type) ||
         (!device.pci_address.empty() && low == device.pci_address) ||
         Lower(device.name).find(low) != std::string::npos;
}

}  // namespace

std::string_view VulkanDeviceTypeName(VulkanDeviceType type) {
  switch (type) {
    case VulkanDeviceType::kDiscrete:
      return "discrete";
    case VulkanDeviceType::kIntegrated:
      return "integrated";
    case VulkanDeviceType::kVirtual:
      return "virtual";
    case VulkanDeviceType::kCpu:
      return "cpu";
    case VulkanDeviceType::kOther:
      break;
  }
  return "other";
}

Result<std::uint32_t> ChooseDevice(std::span<const VulkanDeviceInfo> devices,
                                   std::string_view wanted) {
  const VulkanDeviceInfo* unusable = nullptr;
  std::string_view rest = wanted;
  do {
    const std::size_t comma = rest.find(',');
    const std::string_view name = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const VulkanDeviceInfo* best = nullptr;
    for (const VulkanDeviceInfo& device : devices) {
      if (!wanted.empty() && !Matches(device, name)) continue;
      if (!device.unusable_reason.empty())
        unusable = &device;
      else if (best == nullptr || device.type < best->type)
        best = &device;
    }
    if (best != nullptr) return best->index;
  } while (!rest.empty());
  if (unusable != nullptr) return Fail(ErrorCode::kUnimplemented, unusable->unusable_reason);
  return Fail(ErrorCode::kNotFound,
              fmt::format("no Vulkan device{}{}; there are: {}", wanted.empty() ? "" : " matches ",
                          wanted, ListOf(devices)));
}

}  // namespace fallow::engine
