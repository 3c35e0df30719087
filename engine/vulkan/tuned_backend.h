// The Vulkan backend with its choices overridden: for tests and measurements.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/result.h"
#include "engine/vulkan/device_plan.h"
#include "engine/vulkan/vulkan_backend.h"

namespace fallow::engine {

struct VulkanCounters {
  std::uint64_t submissions = 0;
  std::uint64_t dispatches = 0;
  std::uint64_t slices_over_ceiling = 0;
  double longest_slice_ns = 0;
  std::uint64_t reserved_bytes = 0;       // of device memory, in blocks: at least the ranges in use
  std::uint64_t validation_messages = 0;  // warnings and errors
};

class TunedVulkanBackend : public Backend {
 public:
  virtual VulkanCounters counters() const = 0;
  // `fn` hears what each slice of a step took.
  virtual void OnSlice(std::function<void(std::chrono::nanoseconds)> fn) = 0;
};

Result<std::unique_ptr<TunedVulkanBackend>> NewTunedVulkanBackend(
    const VulkanBackendOptions& options, const DeviceTuning& tuning);

}  // namespace fallow::engine
