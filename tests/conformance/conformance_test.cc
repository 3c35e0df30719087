// The backends that must conform, each as it is used and with its choices forced.
//
// Who sets FALLOW_TEST_VULKAN promises a device: a backend that refuses it must not pass as absent.
#include <cstdlib>

#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/tuned_backend.h"
#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

BackendUnderTest Vulkan(std::string name, DeviceTuning tuning) {
  return {.name = std::move(name), .open = [tuning]() -> Result<std::unique_ptr<Backend>> {
            return NewTunedVulkanBackend({}, tuning);
          }};
}

// Everything once more under the Khronos validation layer, which must have nothing to say.
BackendUnderTest ValidatedVulkan() {
  return {.name = "VulkanValidated",
          .open = []() -> Result<std::unique_ptr<Backend>> {
            return NewTunedVulkanBackend({.validation = true}, {});
          },
          .check_at_end =
              [](Backend& backend) {
                EXPECT_EQ(dynamic_cast<TunedVulkanBackend&>(backend).counters().validation_messages,
                          0u);
              }};
}

BackendUnderTest PromisedVulkan() {
  BackendUnderTest vulkan = Vulkan("Vulkan", {});
  vulkan.promised = std::getenv("FALLOW_TEST_VULKAN") != nullptr;
  return vulkan;
}

std::vector<BackendUnderTest> AllBackends() {
  return {
      {"CpuBest",
       []() -> Result<std::unique_ptr<Backend>> { return NewCpuBackend({.thread_count = 2}); }},
      PromisedVulkan(),
      Vulkan("VulkanPackedDot", {.dot_product = DotProduct::kPacked}),
      Vulkan("VulkanFloatDot", {.dot_product = DotProduct::kFloat}),
      Vulkan("VulkanStaging", {.use_staging = true}),
      Vulkan("VulkanWideWorkgroups", {.workgroup_lanes = 64}),
      ValidatedVulkan(),
  };
}

}  // namespace
}  // namespace fallow::engine

FALLOW_BACKEND_CONFORMANCE(AllBackends())
