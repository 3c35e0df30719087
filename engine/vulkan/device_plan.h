// A DevicePlan says how a device is used, or why it cannot be: a pure function of what the driver
// reports.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace fallow::engine {

// Storage buffers bound to one kernel.
inline constexpr std::uint32_t kBindingCount = 9;
inline constexpr std::uint32_t kMaxArgumentBytes = 128;  // push constants: what every driver has

struct MemoryTypeSnapshot {
  bool device_local = false;
  bool host_visible = false;
  bool host_coherent = false;
  bool host_cached = false;
  std::uint64_t heap_bytes = 0;
  std::uint64_t budget_bytes =
      0;  // of the heap, what others leave us now; 0: the driver does not say
};

struct QueueFamilySnapshot {
  bool compute = false;
  bool graphics = false;
  std::uint32_t timestamp_bits = 0;  // 0: no timestamps
  // Whether a queue below the system's default may be asked for; none: the driver does not say.
  std::optional<bool> low_priority;
};

// The extension by which a queue's priority among all processes is asked for.
enum class PriorityExtension : std::uint8_t { kNone, kKhr, kExt };

// What a driver reports of a device, as far as it matters here. The defaults are a device that can
// do nothing.
struct DeviceSnapshot {
  std::string name;
  std::uint32_t api_major = 0;
  std::uint32_t api_minor = 0;
  std::uint32_t max_storage_buffers = 0;  // per stage
  std::uint32_t max_argument_bytes = 0;
  std::uint64_t max_range_bytes = 0;  // of one storage buffer binding
  std::uint64_t max_allocation_bytes = 0;
  std::uint64_t offset_alignment_bytes = 1;
  std::array<std::uint32_t, 3> max_workgroups{};
  std::uint32_t max_workgroup_lanes = 0;
  std::uint32_t shared_memory_bytes = 0;
  std::uint32_t subgroup_lanes = 0;
  bool subgroup_shuffle_in_compute = false;
  bool full_subgroups = false;            // can be asked for
  bool preserves_special_values = false;  // SignedZeroInfNanPreserve, 32 bits
  bool rounds_to_nearest_even = false;    // RoundingModeRTE, 32 bits
  bool packed_dot = false;                // 4 × int8 in one instruction
  bool packed_dot_accelerated = false;
  std::vector<QueueFamilySnapshot> queue_families;
  PriorityExtension priority_extension = PriorityExtension::kNone;
  double ns_per_tick = 0;               // of timestamps
  bool memory_priority = false;         // memory can be named less important than others'
  bool pageable_device_memory = false;  // and then is moved out before theirs
  std::vector<MemoryTypeSnapshot> memory_types;
};

enum class DotProduct : std::uint8_t { kAuto, kFloat, kPacked };

// Overrides for tests and measurements.
struct DeviceTuning {
  std::uint64_t max_range_bytes = 0;  // 0: the device's
  std::uint64_t memory_bytes = 0;     // 0: the device's
  // Left to other programs, of a device that has twice as much.
  std::uint64_t spare_memory_bytes = 0;
  bool use_staging = false;  // as if device memory could not be mapped
  DotProduct dot_product = DotProduct::kAuto;
  std::uint32_t workgroup_lanes = 0;  // 0: chosen for the device
};

struct DevicePlan {
  std::uint32_t queue_family = 0;
  // To be asked for a queue below the system's default; kNone: there is no such queue.
  PriorityExtension low_priority = PriorityExtension::kNone;
  std::uint32_t timestamp_bits = 0;  // 0: slices are timed by their fences
  double ns_per_tick = 0;
  bool memory_priority = false;
  bool pageable_device_memory = false;
  std::uint32_t device_memory_type = 0;
  std::uint32_t upload_memory_type = 0;    // host-visible
  std::uint32_t readback_memory_type = 0;  // host-visible, cached if there is such
  bool device_memory_mapped = false;
  bool device_memory_cached = false;
  std::uint64_t memory_bytes = 0;
  std::uint64_t max_range_bytes = 0;
  std::uint64_t offset_alignment_bytes = 0;
  std::uint32_t workgroup_lanes = 0;
  bool full_subgroups = false;
  bool round_to_nearest_even = false;
  bool packed_dot = false;

  std::uint32_t octets() const { return workgroup_lanes / 8; }
};

// kUnimplemented, naming what the device lacks.
Result<DevicePlan> PlanDevice(const DeviceSnapshot& device, const DeviceTuning& tuning);

}  // namespace fallow::engine
