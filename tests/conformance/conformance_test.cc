// The backends that must conform, each as it is used and with its choices forced.
#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/tuned_backend.h"
#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

BackendUnderTest Vulkan(std::string name, DeviceTuning tuning) {
  return {std::move(name), [tuning]() -> Result<std::unique_ptr<Backend>> {
            return NewTunedVulkanBackend({}, tuning);
          }};
}

std::vector<BackendUnderTest> AllBackends() {
  return {
      {"CpuBest",
       []() -> Result<std::unique_ptr<Backend>> { return NewCpuBackend({.thread_count = 2}); }},
      Vulkan("Vulkan", {}),
      Vulkan("VulkanPackedDot", {.dot_product = DotProduct::kPacked}),
      Vulkan("VulkanFloatDot", {.dot_product = DotProduct::kFloat}),
      Vulkan("VulkanStaging", {.use_staging = true}),
      Vulkan("VulkanWideWorkgroups", {.workgroup_lanes = 64}),
  };
}

}  // namespace
}  // namespace fallow::engine

FALLOW_BACKEND_CONFORMANCE(AllBackends())
