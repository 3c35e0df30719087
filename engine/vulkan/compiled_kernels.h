// CompiledKernels hands a driver what it compiled in an earlier process, by a pipeline cache for
// each kernel, and keeps what it compiles.
//
// Drivers parse what they are given: it goes to them only if it was kept whole and its header is of
// this device and driver. Threading: one thread.
#pragma once

#include <volk.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/digest.h"
#include "engine/kernel_store.h"

namespace fallow::engine {

// For which device and driver a kernel is compiled.
struct DriverIdentity {
  std::uint32_t vendor = 0;
  std::uint32_t device = 0;
  std::uint32_t driver_version = 0;
  std::array<std::uint8_t, VK_UUID_SIZE> driver{};
  std::array<std::uint8_t, VK_UUID_SIZE> cache{};
};
DriverIdentity IdentityOf(VkPhysicalDevice device);

// Whether `data` is a pipeline cache of this driver that holds more than its header. Some drivers'
// never do.
bool HoldsKernels(ByteView data, const DriverIdentity& driver);

class CompiledKernels {
 public:
  // `store` may be null; it and `calls` must outlive this.
  CompiledKernels(const VolkDeviceTable& calls, VkDevice device, const DriverIdentity& driver,
                  KernelStore* store)
      : calls_(calls), device_(device), driver_(driver), store_(store) {}

  // What a pipeline depends on beside the driver: its SPIR-V, its constants, its flags.
  Digest KeyOf(std::span<const std::uint32_t> words, std::span<const std::uint32_t> rest) const;
  // To make a kernel's pipeline with; with what was kept of it. Null where there is no store.
  VkPipelineCache Open(const Digest& key) const;
  // After that, in any case. Keeps what the driver has compiled, if it was `made`.
  void Close(const Digest& key, VkPipelineCache cache, bool made) const;

 private:
  Bytes DataOf(VkPipelineCache cache) const;

  const VolkDeviceTable& calls_;
  VkDevice device_;
  DriverIdentity driver_;
  KernelStore* store_;
};

}  // namespace fallow::engine
