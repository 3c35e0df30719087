// A SliceClock measures on the device itself how long each submission takes, with a pair of
// timestamps around its commands; host times have others' work and late wake-ups in them.
//
// Threading: one thread. The device must outlive it, and no measured commands may be in flight when
// it goes.
#pragma once

#include <volk.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "engine/vulkan/device.h"

namespace fallow::engine {

// The time between two timestamps of a counter that has `valid_bits` (1 to 64) and wraps.
double TicksToNs(std::uint64_t begin, std::uint64_t end, std::uint32_t valid_bits,
                 double ns_per_tick);

// What a slice took: the device's own figure where it has one that is possible, as no slice takes
// longer than from its submission to its fence (`waited_ns`); else `host_ns`, the host's guess.
double SliceNs(std::optional<double> device_ns, double waited_ns, double host_ns);

class SliceClock {
 public:
  // For `slot_count` submissions at once. A device without timestamps gets a clock that knows
  // nothing.
  static Result<std::unique_ptr<SliceClock>> Create(const VulkanDevice& device,
                                                    std::uint32_t slot_count);
  ~SliceClock();
  SliceClock(const SliceClock&) = delete;
  SliceClock& operator=(const SliceClock&) = delete;

  // As the first and the last command of a submission.
  void Begin(VkCommandBuffer commands, std::uint32_t slot) const;
  void End(VkCommandBuffer commands, std::uint32_t slot) const;
  // Of the slot's submission, which has finished: from the end of the work before it on the queue,
  // or its own start.
  std::optional<double> ElapsedNs(std::uint32_t slot) const;

 private:
  explicit SliceClock(const VulkanDevice& device) : device_(device) {}

  const VulkanDevice& device_;
  VkQueryPool pool_ = VK_NULL_HANDLE;  // none: no timestamps
};

}  // namespace fallow::engine
