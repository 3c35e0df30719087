#include "engine/vulkan/slice_clock.h"

#include <array>

#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {

double TicksToNs(std::uint64_t begin, std::uint64_t end, std::uint32_t valid_bits,
                 double ns_per_tick) {
  const std::uint64_t mask = valid_bits >= 64 ? UINT64_MAX : (std::uint64_t{1} << valid_bits) - 1;
  return static_cast<double>((end - begin) & mask) * ns_per_tick;
}

double SliceNs(std::optional<double> device_ns, double waited_ns, double host_ns) {
  const bool possible = device_ns.has_value() && *device_ns > 0 && *device_ns <= waited_ns;
  return possible ? *device_ns : host_ns;
}

Result<std::unique_ptr<SliceClock>> SliceClock::Create(const VulkanDevice& device,
                                                       std::uint32_t slot_count) {
  std::unique_ptr<SliceClock> self(new SliceClock(device));
  if (device.plan().timestamp_bits == 0) return self;
  VkQueryPoolCreateInfo create{.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  create.queryType = VK_QUERY_TYPE_TIMESTAMP;
  create.queryCount = 2 * slot_count;
  FALLOW_RETURN_IF_ERROR(VulkanStatus(
      device.calls().vkCreateQueryPool(device.handle(), &create, nullptr, &self->pool_),
      "making a pool of timestamps"));
  return self;
}

SliceClock::~SliceClock() {
  device_.calls().vkDestroyQueryPool(device_.handle(), pool_, nullptr);
}

// Both are taken when everything before them on the queue has finished: so the slice before, which
// may still run when this one is submitted, is not counted.
void SliceClock::Begin(VkCommandBuffer commands, std::uint32_t slot) const {
  if (pool_ == VK_NULL_HANDLE) return;
  device_.calls().vkCmdResetQueryPool(commands, pool_, 2 * slot, 2);
  device_.calls().vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_,
                                      2 * slot);
}

void SliceClock::End(VkCommandBuffer commands, std::uint32_t slot) const {
  if (pool_ == VK_NULL_HANDLE) return;
  device_.calls().vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_,
                                      2 * slot + 1);
}

std::optional<double> SliceClock::ElapsedNs(std::uint32_t slot) const {
  if (pool_ == VK_NULL_HANDLE) return std::nullopt;
  std::array<std::uint64_t, 2> ticks{};
  const VkResult result =
      device_.calls().vkGetQueryPoolResults(device_.handle(), pool_, 2 * slot, 2, sizeof ticks,
                                            ticks.data(), sizeof ticks[0], VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return std::nullopt;
  const DevicePlan& plan = device_.plan();
  return TicksToNs(ticks[0], ticks[1], plan.timestamp_bits, plan.ns_per_tick);
}

}  // namespace fallow::engine
