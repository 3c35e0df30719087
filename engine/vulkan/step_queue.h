// A StepQueue runs a step's dispatches in slices of a few milliseconds, at most two in flight, and
// stops or rests between them.
//
// A kernel that has never run has a slice to itself, with no other behind it: some drivers compile
// it only then, and a stop should wait for one kernel at most. Such a slice says nothing about the
// device's speed. Invariant: dispatches come with their pipelines made.
// Threading: one thread; a step is stopped and paced from others.
#pragma once

#include <volk.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/backend.h"
#include "engine/vulkan/binding_sets.h"
#include "engine/vulkan/dispatch.h"
#include "engine/vulkan/slice_clock.h"
#include "engine/vulkan/slice_pacer.h"

namespace fallow::engine {

struct BufferCopy {
  VkBuffer from = VK_NULL_HANDLE;
  std::uint64_t from_offset = 0;
  VkBuffer to = VK_NULL_HANDLE;
  std::uint64_t to_offset = 0;
  std::uint64_t bytes = 0;
};

class StepQueue {
 public:
  static Result<std::unique_ptr<StepQueue>> Create(const VulkanDevice& device,
                                                   const KernelSet& kernels, BindingSets& sets);
  ~StepQueue();
  StepQueue(const StepQueue&) = delete;
  StepQueue& operator=(const StepQueue&) = delete;

  // kCancelled when it was stopped before all was submitted; nothing is in flight afterwards in any
  // case. Below the full share the device has nothing to do while the step rests: one slice in
  // flight, then a rest as long as the share asks for.
  Status Run(std::span<const Dispatch> dispatches, std::uint32_t step_block,
             const StepControl& control);

  // Copies between buffers and waits.
  Status Copy(const BufferCopy& copy);
  Status FillWithZeros(VkBuffer buffer, std::uint64_t offset, std::uint64_t bytes);
  // Copies that run while the host prepares the next: they take turns, of which there are
  // kCopyTurns. AwaitTurn says whose it is and waits until its last copy is done; then StartCopy.
  // Drain waits for all: before anything else is asked of the queue, or a buffer freed.
  static constexpr std::uint32_t kCopyTurns = 2;
  Result<std::uint32_t> AwaitTurn();
  Status StartCopy(std::uint32_t turn, const BufferCopy& copy);
  Status Drain(Status status = {});

  std::uint64_t submissions() const { return submissions_; }
  const SlicePacer& pacer() const { return pacer_; }
  // Called with what each slice of a step took, for measurements.
  void OnSlice(std::function<void(std::chrono::nanoseconds)> fn) { on_slice_ = std::move(fn); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Slice {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;
    std::uint32_t clock_slot = 0;
    double work = 0;              // 0: a copy
    Kernel* first_run = nullptr;  // the kernel that runs for the first time
    Clock::time_point submitted;
    bool in_flight = false;
  };
  class Cursor;

  StepQueue(const VulkanDevice& device, const KernelSet& kernels, BindingSets& sets)
      : device_(device), kernels_(kernels), sets_(sets) {}

  Status Begin(Slice& slice);
  Status Submit(Slice& slice);
  Status Wait(Slice& slice);
  void Learn(const Slice& slice, Clock::time_point end);
  Status Rest(const StepControl& control);
  void RecordCopy(VkCommandBuffer commands, const BufferCopy& copy) const;
  template <class Record>
  Status RunOnce(Record record);

  const VulkanDevice& device_;
  const KernelSet& kernels_;
  BindingSets& sets_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::array<Slice, kCopyTurns> slices_;
  std::uint32_t next_turn_ = 0;
  std::unique_ptr<SliceClock> clock_;
  SlicePacer pacer_;
  std::chrono::nanoseconds busy_{};  // what slices took since the last rest
  std::function<void(std::chrono::nanoseconds)> on_slice_;
  Clock::time_point last_end_{};
  std::uint64_t submissions_ = 0;
};

}  // namespace fallow::engine
