#include "engine/vulkan/device_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace fallow::engine {
namespace {

// Ranges begin at multiples of this: enough for every binding's alignment and for 16-byte elements.
constexpr std::uint64_t kMinAlignmentBytes = 256;
// Offsets inside a binding are 32-bit counts of words.
constexpr std::uint64_t kMaxRangeBytes = std::uint64_t{1} << 31;
constexpr std::uint64_t kMinRangeBytes = std::uint64_t{1} << 16;
// A workgroup on devices with wide subgroups; a device with narrow ones gets one octet a workgroup.
constexpr std::uint32_t kWideWorkgroupLanes = 64;
constexpr std::uint32_t kOctetLanes = 8;
constexpr std::uint32_t kScoreBytesPerLane = 256;  // attention.comp's shared scores
constexpr std::uint32_t kMinWorkgroups = 65535;    // what every driver must have

std::unexpected<Error> Lacks(const DeviceSnapshot& device, std::string_view what) {
  return Fail(ErrorCode::kUnimplemented, fmt::format("{} cannot be used: {}", device.name, what));
}

std::optional<std::string> Missing(const DeviceSnapshot& d) {
  if (d.api_major < 1 || (d.api_major == 1 && d.api_minor < 2))
    return fmt::format("Vulkan 1.2 is needed, it has {}.{}", d.api_major, d.api_minor);
  if (!d.subgroup_shuffle_in_compute) return "no subgroup shuffle in compute shaders";
  if (d.subgroup_lanes < kOctetLanes || d.subgroup_lanes % kOctetLanes != 0)
    return fmt::format("subgroups of {} lanes, a multiple of {} is needed", d.subgroup_lanes,
                       kOctetLanes);
  if (!d.preserves_special_values) return "no SignedZeroInfNanPreserve for 32-bit floats";
  if (d.max_storage_buffers < kBindingCount)
    return fmt::format("{} storage buffers per stage, {} are needed", d.max_storage_buffers,
                       kBindingCount);
  if (d.max_argument_bytes < kMaxArgumentBytes)
    return fmt::format("{} bytes of push constants, {} are needed", d.max_argument_bytes,
                       kMaxArgumentBytes);
  for (const std::uint32_t count : d.max_workgroups)
    if (count < kMinWorkgroups)
      return fmt::format("{} workgroups in a dispatch, {} are needed", count, kMinWorkgroups);
  if (std::ranges::none_of(d.queue_families, &QueueFamilySnapshot::compute))
    return "no queue for compute";
  return std::nullopt;
}

// The first memory type for which `score` is highest, if any is above zero.
template <class Score>
std::optional<std::uint32_t> BestMemoryType(const DeviceSnapshot& device, Score score) {
  std::optional<std::uint32_t> best;
  std::uint64_t best_score = 0;
  for (std::uint32_t i = 0; i < device.memory_types.size(); ++i) {
    const std::uint64_t s = score(device.memory_types[i]);
    if (s > best_score) {
      best_score = s;
      best = i;
    }
  }
  return best;
}

// A family that computes. One without graphics where there is such: its work runs beside the
// desktop's instead of between its frames.
std::uint32_t ChooseQueueFamily(const DeviceSnapshot& device) {
  const auto& families = device.queue_families;
  auto best = std::ranges::find_if(
      families, [](const QueueFamilySnapshot& f) { return f.compute && !f.graphics; });
  if (best == families.end()) best = std::ranges::find_if(families, &QueueFamilySnapshot::compute);
  return static_cast<std::uint32_t>(best - families.begin());
}

void PlanManners(const DeviceSnapshot& device, DevicePlan& plan) {
  const QueueFamilySnapshot& family = device.queue_families[plan.queue_family];
  if (family.low_priority.value_or(true)) plan.low_priority = device.priority_extension;
  if (device.ns_per_tick > 0) plan.timestamp_bits = family.timestamp_bits;
  plan.ns_per_tick = device.ns_per_tick;
  plan.memory_priority = device.memory_priority;
  // Of no use to us without a priority to be moved out by.
  plan.pageable_device_memory = device.memory_priority && device.pageable_device_memory;
}

}  // namespace

Result<DevicePlan> PlanDevice(const DeviceSnapshot& device, const DeviceTuning& tuning) {
  if (const auto missing = Missing(device)) return Lacks(device, *missing);

  DevicePlan plan;
  plan.queue_family = ChooseQueueFamily(device);
  PlanManners(device, plan);

  // The largest device-local heap; within it memory that the host can map, cached if possible.
  const auto mappable = [](const MemoryTypeSnapshot& t) {
    return t.host_visible && t.host_coherent;
  };
  const auto device_type =
      BestMemoryType(device, [&](const MemoryTypeSnapshot& t) -> std::uint64_t {
        if (!t.device_local) return 0;
        return t.heap_bytes / 1024 * 4 + (mappable(t) ? 2 : 0) +
               (mappable(t) && t.host_cached ? 1 : 0);
      });
  const auto upload_type =
      BestMemoryType(device, [&](const MemoryTypeSnapshot& t) -> std::uint64_t {
        return mappable(t) ? 1 + (t.device_local ? 0 : 1) : 0;
      });
  const auto readback_type =
      BestMemoryType(device, [&](const MemoryTypeSnapshot& t) -> std::uint64_t {
        return mappable(t) ? 1 + (t.host_cached ? 2 : 0) + (t.device_local ? 0 : 1) : 0;
      });
  if (!device_type.has_value() || !upload_type.has_value() || !readback_type.has_value())
    return Lacks(device, "no device-local or no host-visible, coherent memory");
  const MemoryTypeSnapshot& memory = device.memory_types[*device_type];
  plan.device_memory_type = *device_type;
  plan.upload_memory_type = *upload_type;
  plan.readback_memory_type = *readback_type;
  plan.device_memory_mapped = mappable(memory) && !tuning.use_staging;
  plan.device_memory_cached = memory.host_cached && plan.device_memory_mapped;
  plan.memory_bytes = memory.budget_bytes != 0 ? std::min(memory.budget_bytes, memory.heap_bytes)
                                               : memory.heap_bytes;
  if (memory.heap_bytes >= 2 * tuning.spare_memory_bytes)
    plan.memory_bytes -= std::min(plan.memory_bytes, tuning.spare_memory_bytes);
  if (tuning.memory_bytes != 0)
    plan.memory_bytes = std::min(plan.memory_bytes, tuning.memory_bytes);

  plan.max_range_bytes =
      std::min({device.max_range_bytes, device.max_allocation_bytes, kMaxRangeBytes});
  if (tuning.max_range_bytes != 0)
    plan.max_range_bytes = std::min(plan.max_range_bytes, tuning.max_range_bytes);
  if (plan.max_range_bytes < kMinRangeBytes)
    return Lacks(device, fmt::format("bindings of {} bytes, {} are needed", plan.max_range_bytes,
                                     kMinRangeBytes));
  plan.offset_alignment_bytes = std::max(kMinAlignmentBytes, device.offset_alignment_bytes);

  plan.workgroup_lanes = device.subgroup_lanes <= kOctetLanes
                             ? kOctetLanes
                             : std::max(kWideWorkgroupLanes, device.subgroup_lanes);
  if (tuning.workgroup_lanes != 0) plan.workgroup_lanes = tuning.workgroup_lanes;
  if (plan.workgroup_lanes > device.max_workgroup_lanes)
    return Lacks(device, fmt::format("workgroups of {} lanes, {} are needed",
                                     device.max_workgroup_lanes, plan.workgroup_lanes));
  if (plan.workgroup_lanes * kScoreBytesPerLane > device.shared_memory_bytes)
    return Lacks(device,
                 fmt::format("{} bytes of shared memory, {} are needed", device.shared_memory_bytes,
                             plan.workgroup_lanes * kScoreBytesPerLane));
  plan.full_subgroups = device.full_subgroups;
  plan.round_to_nearest_even = device.rounds_to_nearest_even;
  if (tuning.dot_product == DotProduct::kPacked && !device.packed_dot)
    return Lacks(device, "no packed int8 dot product");
  plan.packed_dot = tuning.dot_product == DotProduct::kPacked ||
                    (tuning.dot_product == DotProduct::kAuto && device.packed_dot &&
                     device.packed_dot_accelerated);
  return plan;
}

}  // namespace fallow::engine
