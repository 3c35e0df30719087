// The Vulkan backend with its choices overridden: for tests and measurements.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/vulkan/device_plan.h"
#include "engine/vulkan/vulkan_backend.h"

namespace fallow::engine {

struct VulkanCounters {
  std::uint64_t submissions = 0;
  std::uint64_t dispatches = 0;
  std::uint64_t reserved_bytes = 0;       // of device memory, in blocks: at least the ranges in use
  std::uint64_t validation_messages = 0;  // warnings and errors
};

class TunedVulkanBackend : public Backend {
 public:
  virtual VulkanCounters counters() const = 0;
};

Result<std::unique_ptr<TunedVulkanBackend>> NewTunedVulkanBackend(
    const VulkanBackendOptions& options, const DeviceTuning& tuning);

}  // namespace fallow::engine
