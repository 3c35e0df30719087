#include "engine/vulkan/step_queue.h"

#include <algorithm>
#include <set>

#include "engine/vulkan/vulkan_status.h"

namespace fallow::engine {
namespace {

// A device that does not answer for this long is lost.
constexpr std::uint64_t kFenceTimeoutNs = 60'000'000'000;

// Which ranges were touched since the last barrier.
class HazardTracker {
 public:
  // Whether a barrier is needed before a dispatch with these uses; then it is taken as placed.
  bool NeedsBarrier(const std::vector<MemoryUse>& uses) {
    const bool hazard = std::ranges::any_of(uses, [&](const MemoryUse& use) {
      const Key key{use.block, use.offset};
      return written_.contains(key) || (use.writes && read_.contains(key));
    });
    if (hazard) {
      written_.clear();
      read_.clear();
    }
    for (const MemoryUse& use : uses)
      (use.writes ? written_ : read_).insert({use.block, use.offset});
    return hazard;
  }

 private:
  using Key = std::pair<std::uint32_t, std::uint64_t>;
  std::set<Key> written_;
  std::set<Key> read_;
};

}  // namespace

// Walks the pieces of a step's dispatches in order and records them.
class StepQueue::Cursor {
 public:
  Cursor(StepQueue& queue, std::span<const Dispatch> dispatches, std::uint32_t step_block)
      : queue_(queue), dispatches_(dispatches), step_block_(step_block) {}

  bool done() const { return next_ == dispatches_.size(); }

  // Records pieces until the slice has its share of work, or one of a kernel that has never run.
  Status Fill(Slice& slice) {
    const double budget = queue_.pacer_.budget();
    bound_pipeline_ = VK_NULL_HANDLE;
    while (!done() && slice.first_run == nullptr && HasRoom(slice, budget)) {
      const Dispatch& dispatch = dispatches_[next_];
      if (next_piece_ == 0)
        FALLOW_RETURN_IF_ERROR(StartDispatch(slice, dispatch));
      else
        Bind(slice, dispatch);
      const GridPiece& piece = pieces_[next_piece_];
      queue_.device_.calls().vkCmdDispatchBase(slice.commands, piece.first[0], piece.first[1],
                                               piece.first[2], piece.count[0], piece.count[1],
                                               piece.count[2]);
      slice.work += dispatch.work / static_cast<double>(pieces_.size());
      if (!dispatch.kernel->has_run) slice.first_run = dispatch.kernel;
      if (++next_piece_ == pieces_.size()) {
        next_piece_ = 0;
        pieces_.clear();
        next_++;
      }
    }
    return {};
  }

 private:
  bool HasRoom(const Slice& slice, double budget) {
    if (slice.work == 0) return true;
    return dispatches_[next_].kernel->has_run && slice.work + NextWork(budget) <= budget;
  }

  double NextWork(double budget) {
    const Dispatch& dispatch = dispatches_[next_];
    if (pieces_.empty()) pieces_ = SplitGrid(dispatch.grid, dispatch.work, budget);
    return dispatch.work / static_cast<double>(pieces_.size());
  }

  Status StartDispatch(Slice& slice, const Dispatch& dispatch) {
    NextWork(queue_.pacer_.budget());
    BoundBlocks blocks = dispatch.blocks;
    std::ranges::replace(blocks, kStepBlock, step_block_);
    FALLOW_ASSIGN_OR_RETURN(set_, queue_.sets_.Find(blocks));
    if (hazards_.NeedsBarrier(dispatch.uses)) {
      VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER};
      barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
      barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
      queue_.device_.calls().vkCmdPipelineBarrier(
          slice.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
    }
    Bind(slice, dispatch);
    return {};
  }

  void Bind(Slice& slice, const Dispatch& dispatch) {
    const VolkDeviceTable& vk = queue_.device_.calls();
    const VkPipeline pipeline = dispatch.kernel->pipeline;
    if (bound_pipeline_ != pipeline)
      vk.vkCmdBindPipeline(slice.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    bound_pipeline_ = pipeline;
    vk.vkCmdBindDescriptorSets(slice.commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                               queue_.kernels_.layout(), 0, 1, &set_, 0, nullptr);
    vk.vkCmdPushConstants(slice.commands, queue_.kernels_.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                          dispatch.argument_bytes, dispatch.arguments.data());
  }

  StepQueue& queue_;
  std::span<const Dispatch> dispatches_;
  std::uint32_t step_block_;
  std::size_t next_ = 0;
  std::vector<GridPiece> pieces_;
  std::size_t next_piece_ = 0;
  HazardTracker hazards_;
  VkPipeline bound_pipeline_ = VK_NULL_HANDLE;
  VkDescriptorSet set_ = VK_NULL_HANDLE;
};

Result<std::unique_ptr<StepQueue>> StepQueue::Create(const VulkanDevice& device,
                                                     const KernelSet& kernels, BindingSets& sets) {
  std::unique_ptr<StepQueue> self(new StepQueue(device, kernels, sets));
  const VolkDeviceTable& vk = device.calls();
  VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = device.plan().queue_family;
  FALLOW_RETURN_IF_ERROR(
      VulkanStatus(vk.vkCreateCommandPool(device.handle(), &pool, nullptr, &self->pool_),
                   "making a command pool"));
  FALLOW_ASSIGN_OR_RETURN(self->clock_, SliceClock::Create(device, kCopyTurns));
  for (std::uint32_t i = 0; i < kCopyTurns; ++i) {
    Slice& slice = self->slices_[i];
    slice.clock_slot = i;
    VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = self->pool_;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    FALLOW_RETURN_IF_ERROR(
        VulkanStatus(vk.vkAllocateCommandBuffers(device.handle(), &allocate, &slice.commands),
                     "making a command buffer"));
    const VkFenceCreateInfo fence{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    FALLOW_RETURN_IF_ERROR(VulkanStatus(
        vk.vkCreateFence(device.handle(), &fence, nullptr, &slice.fence), "making a fence"));
  }
  return self;
}

StepQueue::~StepQueue() {
  const VolkDeviceTable& vk = device_.calls();
  vk.vkDeviceWaitIdle(device_.handle());
  for (const Slice& slice : slices_) vk.vkDestroyFence(device_.handle(), slice.fence, nullptr);
  vk.vkDestroyCommandPool(device_.handle(), pool_, nullptr);
}

Status StepQueue::Run(std::span<const Dispatch> dispatches, std::uint32_t step_block,
                      const StepControl& control) {
  sets_.DropStale();
  Cursor cursor(*this, dispatches, step_block);
  for (std::size_t turn = 0; !cursor.done(); turn = (turn + 1) % slices_.size()) {
    Slice& slice = slices_[turn];
    if (auto status = Wait(slice); !status.has_value()) return Drain(std::move(status));
    if (auto status = Rest(control); !status.has_value()) return status;
    if (control.stopped())
      return Drain(Fail(ErrorCode::kCancelled, "stopped between two submissions"));
    if (auto status = Begin(slice); !status.has_value()) return Drain(std::move(status));
    if (auto status = cursor.Fill(slice); !status.has_value()) return Drain(std::move(status));
    if (auto status = Submit(slice); !status.has_value()) return Drain(std::move(status));
    if (slice.first_run != nullptr) FALLOW_RETURN_IF_ERROR(Drain({}));
  }
  FALLOW_RETURN_IF_ERROR(Drain({}));
  return Rest(control);
}

Status StepQueue::Rest(const StepControl& control) {
  if (control.share() < 1) {
    FALLOW_RETURN_IF_ERROR(Drain({}));
    control.Rest(busy_);
  }
  busy_ = {};
  return {};
}

void StepQueue::RecordCopy(VkCommandBuffer commands, const BufferCopy& copy) const {
  const VkBufferCopy region{copy.from_offset, copy.to_offset, copy.bytes};
  device_.calls().vkCmdCopyBuffer(commands, copy.from, copy.to, 1, &region);
}

Status StepQueue::Copy(const BufferCopy& copy) {
  return RunOnce([&](VkCommandBuffer commands) { RecordCopy(commands, copy); });
}

Result<std::uint32_t> StepQueue::AwaitTurn() {
  const std::uint32_t turn = next_turn_;
  next_turn_ = (next_turn_ + 1) % kCopyTurns;
  FALLOW_RETURN_IF_ERROR(Wait(slices_[turn]));
  return turn;
}

Status StepQueue::StartCopy(std::uint32_t turn, const BufferCopy& copy) {
  Slice& slice = slices_[turn];
  FALLOW_RETURN_IF_ERROR(Begin(slice));
  RecordCopy(slice.commands, copy);
  return Submit(slice);
}

Status StepQueue::FillWithZeros(VkBuffer buffer, std::uint64_t offset, std::uint64_t bytes) {
  return RunOnce([&](VkCommandBuffer commands) {
    device_.calls().vkCmdFillBuffer(commands, buffer, offset, bytes, 0);
  });
}

template <class Record>
Status StepQueue::RunOnce(Record record) {
  Slice& slice = slices_[0];
  FALLOW_RETURN_IF_ERROR(Begin(slice));
  record(slice.commands);
  FALLOW_RETURN_IF_ERROR(Submit(slice));
  return Wait(slice);
}

Status StepQueue::Begin(Slice& slice) {
  VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  FALLOW_RETURN_IF_ERROR(VulkanStatus(device_.calls().vkBeginCommandBuffer(slice.commands, &begin),
                                      "recording a slice"));
  // What the host or an earlier copy wrote is seen by everything that follows.
  VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask =
      VK_ACCESS_HOST_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                          VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  constexpr VkPipelineStageFlags kWork =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  device_.calls().vkCmdPipelineBarrier(slice.commands, kWork | VK_PIPELINE_STAGE_HOST_BIT, kWork, 0,
                                       1, &barrier, 0, nullptr, 0, nullptr);
  clock_->Begin(slice.commands, slice.clock_slot);
  slice.work = 0;
  slice.first_run = nullptr;
  return {};
}

Status StepQueue::Submit(Slice& slice) {
  const VolkDeviceTable& vk = device_.calls();
  VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  vk.vkCmdPipelineBarrier(slice.commands,
                          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  clock_->End(slice.commands, slice.clock_slot);
  FALLOW_RETURN_IF_ERROR(VulkanStatus(vk.vkEndCommandBuffer(slice.commands), "recording a slice"));
  VkSubmitInfo submit{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO};
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &slice.commands;
  slice.submitted = Clock::now();
  FALLOW_RETURN_IF_ERROR(VulkanStatus(vk.vkQueueSubmit(device_.queue(), 1, &submit, slice.fence),
                                      "submitting a slice"));
  slice.in_flight = true;
  submissions_++;
  return {};
}

Status StepQueue::Wait(Slice& slice) {
  if (!slice.in_flight) return {};
  const VolkDeviceTable& vk = device_.calls();
  const VkResult result =
      vk.vkWaitForFences(device_.handle(), 1, &slice.fence, VK_TRUE, kFenceTimeoutNs);
  if (result == VK_TIMEOUT)
    return Fail(ErrorCode::kUnavailable, "the Vulkan device did not finish a slice within 60 s");
  FALLOW_RETURN_IF_ERROR(VulkanStatus(result, "waiting for a slice"));
  slice.in_flight = false;
  if (slice.first_run != nullptr) slice.first_run->has_run = true;
  Learn(slice, Clock::now());
  return VulkanStatus(vk.vkResetFences(device_.handle(), 1, &slice.fence), "resetting a fence");
}

void StepQueue::Learn(const Slice& slice, Clock::time_point end) {
  using Nanoseconds = std::chrono::duration<double, std::nano>;
  const Nanoseconds waited = end - slice.submitted;
  const Nanoseconds alone = end - std::max(slice.submitted, last_end_);
  last_end_ = end;
  if (slice.work == 0) return;
  const Nanoseconds taken(
      SliceNs(clock_->ElapsedNs(slice.clock_slot), waited.count(), alone.count()));
  const auto whole = std::chrono::duration_cast<std::chrono::nanoseconds>(taken);
  busy_ += whole;
  if (slice.first_run != nullptr) return;
  pacer_.Learn(slice.work, taken.count());
  if (on_slice_) on_slice_(whole);
}

// Waits for everything in flight, oldest first.
Status StepQueue::Drain(Status status) {
  std::array<Slice*, 2> order{&slices_[0], &slices_[1]};
  if (order[1]->submitted < order[0]->submitted) std::swap(order[0], order[1]);
  for (Slice* slice : order) {
    if (auto waited = Wait(*slice); !waited.has_value() && status.has_value())
      status = std::move(waited);
  }
  return status;
}

}  // namespace fallow::engine
