// The contract on a Vulkan device.
//
// The Vulkan loader is opened at run time: a machine without it gets kUnavailable, not a crash.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/kernel_store.h"

namespace fallow::engine {

enum class VulkanDeviceType : std::uint8_t { kDiscrete, kIntegrated, kVirtual, kCpu, kOther };

struct VulkanDeviceInfo {
  std::uint32_t index = 0;  // in the loader's order
  std::string name;
  std::string driver;  // name and version
  VulkanDeviceType type = VulkanDeviceType::kOther;
  std::uint64_t memory_bytes = 0;  // of its largest device-local heap
  std::string pci_address;         // "0000:01:00.0"; empty if it has none or does not say
  std::string unusable_reason;     // empty when it has all that the backend needs
};

// kUnavailable without a loader or any driver.
Result<std::vector<VulkanDeviceInfo>> ListVulkanDevices();

// `device`: empty picks the best (discrete, integrated, virtual, cpu); else an index ("1"), a type
// ("discrete", "integrated", "cpu", …), a PCI address ("0000:01:00.0") or part of the name,
// case-insensitive; or several of these with commas between, of which the first that can be used
// counts. kNotFound lists what there is.
struct VulkanBackendOptions {
  std::string device;
  std::uint64_t max_memory_bytes = 0;  // of device memory; 0: as much as there is
  // The same, of a device whose memory is the machine's.
  std::uint64_t max_machine_memory_bytes = 0;
  // Of device memory, left to other programs where there is twice as much.
  std::uint64_t spare_memory_bytes = 0;
  // Where compiled kernels are kept; null: nowhere but where the driver does. Must outlive the
  // backend.
  KernelStore* kernels = nullptr;
  bool validation = false;  // Khronos validation layer, for tests
};
Result<std::unique_ptr<Backend>> NewVulkanBackend(const VulkanBackendOptions& options);

}  // namespace fallow::engine
