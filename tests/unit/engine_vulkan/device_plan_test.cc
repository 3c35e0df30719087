#include "engine/vulkan/device_plan.h"

#include <gmock/gmock.h>

namespace fallow::engine {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr MemoryTypeSnapshot kVram{.device_local = true, .heap_bytes = 8192 * kMiB};
constexpr MemoryTypeSnapshot kMappedVram{
    .device_local = true, .host_visible = true, .host_coherent = true, .heap_bytes = 8192 * kMiB};
constexpr MemoryTypeSnapshot kSmallBar{
    .device_local = true, .host_visible = true, .host_coherent = true, .heap_bytes = 256 * kMiB};
constexpr MemoryTypeSnapshot kHost{
    .host_visible = true, .host_coherent = true, .heap_bytes = 16384 * kMiB};
constexpr MemoryTypeSnapshot kCachedHost{
    .host_visible = true, .host_coherent = true, .host_cached = true, .heap_bytes = 16384 * kMiB};
constexpr MemoryTypeSnapshot kUnified{.device_local = true,
                                      .host_visible = true,
                                      .host_coherent = true,
                                      .host_cached = true,
                                      .heap_bytes = 2048 * kMiB};

// A discrete card with everything.
DeviceSnapshot Card() {
  return {.name = "Card",
          .api_major = 1,
          .api_minor = 3,
          .max_storage_buffers = 64,
          .max_argument_bytes = 256,
          .max_range_bytes = 4096 * kMiB - 1,
          .max_allocation_bytes = 4096 * kMiB,
          .offset_alignment_bytes = 64,
          .max_workgroups = {65535, 65535, 65535},
          .max_workgroup_lanes = 1024,
          .shared_memory_bytes = 32768,
          .subgroup_lanes = 32,
          .subgroup_shuffle_in_compute = true,
          .full_subgroups = true,
          .preserves_special_values = true,
          .rounds_to_nearest_even = true,
          .packed_dot = true,
          .packed_dot_accelerated = true,
          .queue_families = {{.graphics = true}, {.compute = true}},
          .memory_types = {kVram, kHost, kCachedHost}};
}

// A desktop and its programs hold memory too. The heap's size decides which memory, what is left of
// it how much.
TEST(DevicePlan, CountsWithWhatOthersLeaveOfTheMemory) {
  DeviceSnapshot card = Card();
  card.memory_types[0].budget_bytes = 100 * kMiB;
  const auto plan = PlanDevice(card, {});
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  EXPECT_EQ(plan->device_memory_type, 0u);
  EXPECT_EQ(plan->memory_bytes, 100 * kMiB);
  card.memory_types[0].budget_bytes = 9000 * kMiB;
  EXPECT_EQ(PlanDevice(card, {})->memory_bytes, 8192 * kMiB);
}

TEST(DevicePlan, LeavesOthersTheirPartOfAMemoryThatIsTwiceAsLarge) {
  DeviceSnapshot card = Card();
  EXPECT_EQ(PlanDevice(card, {.spare_memory_bytes = 640 * kMiB})->memory_bytes, 7552 * kMiB);
  EXPECT_EQ(PlanDevice(card, {.memory_bytes = 100 * kMiB, .spare_memory_bytes = 640 * kMiB})
                ->memory_bytes,
            100 * kMiB);
  card.memory_types[0].heap_bytes = 1024 * kMiB;
  EXPECT_EQ(PlanDevice(card, {.spare_memory_bytes = 640 * kMiB})->memory_bytes, 1024 * kMiB);
  card.memory_types[0].heap_bytes = 8192 * kMiB;
  card.memory_types[0].budget_bytes = 100 * kMiB;
  EXPECT_EQ(PlanDevice(card, {.spare_memory_bytes = 640 * kMiB})->memory_bytes, 0u);
}

TEST(DevicePlan, StagesForMemoryThatTheHostCannotReach) {
  const auto plan = PlanDevice(Card(), {});
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  EXPECT_EQ(plan->device_memory_type, 0u);
  EXPECT_EQ(plan->readback_memory_type, 2u);
  EXPECT_FALSE(plan->device_memory_mapped);
  EXPECT_EQ(plan->queue_family, 1u);
  EXPECT_EQ(plan->workgroup_lanes, 64u);
  EXPECT_EQ(plan->memory_bytes, 8192 * kMiB);
  EXPECT_TRUE(plan->packed_dot);
  EXPECT_TRUE(plan->round_to_nearest_even);
}

TEST(DevicePlan, TakesAQueueBesideTheDesktopsWhereThereIsOne) {
  DeviceSnapshot card = Card();
  card.queue_families = {{.compute = true, .graphics = true}, {}, {.compute = true}};
  EXPECT_EQ(PlanDevice(card, {})->queue_family, 2u);
  card.queue_families = {{}, {.compute = true, .graphics = true}};
  EXPECT_EQ(PlanDevice(card, {})->queue_family, 1u);
}

TEST(DevicePlan, AsksForTheLowestPriorityWhereTheQueueMayHaveIt) {
  const auto low = [](PriorityExtension extension, std::optional<bool> offered) {
    DeviceSnapshot card = Card();
    card.priority_extension = extension;
    card.queue_families = {{.compute = true, .low_priority = offered}};
    return PlanDevice(card, {})->low_priority;
  };
  EXPECT_EQ(low(PriorityExtension::kKhr, true), PriorityExtension::kKhr);
  EXPECT_EQ(low(PriorityExtension::kExt, std::nullopt), PriorityExtension::kExt)
      << "a driver that does not say may have it";
  EXPECT_EQ(low(PriorityExtension::kKhr, false), PriorityExtension::kNone);
  EXPECT_EQ(low(PriorityExtension::kNone, std::nullopt), PriorityExtension::kNone);
}

TEST(DevicePlan, TimesSlicesOnTheDeviceWhereItsQueueHasAClock) {
  DeviceSnapshot card = Card();
  card.queue_families = {{.compute = true, .timestamp_bits = 36}};
  card.ns_per_tick = 10;
  EXPECT_EQ(PlanDevice(card, {})->timestamp_bits, 36u);
  EXPECT_EQ(PlanDevice(card, {})->ns_per_tick, 10);
  card.ns_per_tick = 0;
  EXPECT_EQ(PlanDevice(card, {})->timestamp_bits, 0u);
}

TEST(DevicePlan, LetsOthersMemoryStayBeforeOurs) {
  DeviceSnapshot card = Card();
  card.pageable_device_memory = true;
  EXPECT_FALSE(PlanDevice(card, {})->pageable_device_memory) << "without a priority it is useless";
  card.memory_priority = true;
  EXPECT_TRUE(PlanDevice(card, {})->memory_priority);
  EXPECT_TRUE(PlanDevice(card, {})->pageable_device_memory);
}

TEST(DevicePlan, MapsTheWholeOfVideoMemoryWhereItCan) {
  DeviceSnapshot card = Card();
  card.memory_types = {kVram, kHost, kMappedVram, kCachedHost};
  const auto plan = PlanDevice(card, {});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->device_memory_type, 2u);
  EXPECT_TRUE(plan->device_memory_mapped);
  EXPECT_FALSE(plan->device_memory_cached);
  EXPECT_EQ(plan->readback_memory_type, 3u);
}

TEST(DevicePlan, LeavesASmallWindowIntoVideoMemoryAlone) {
  DeviceSnapshot card = Card();
  card.memory_types = {kSmallBar, kVram, kHost};
  const auto plan = PlanDevice(card, {});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->device_memory_type, 1u);
  EXPECT_FALSE(plan->device_memory_mapped);
}

// As lavapipe is: subgroups of eight, one memory, small bindings.
TEST(DevicePlan, GivesNarrowDevicesOneOctetAWorkgroup) {
  DeviceSnapshot narrow = Card();
  narrow.subgroup_lanes = 8;
  narrow.memory_types = {kUnified};
  narrow.max_range_bytes = 128 * kMiB;
  narrow.packed_dot_accelerated = false;
  const auto plan = PlanDevice(narrow, {});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->workgroup_lanes, 8u);
  EXPECT_EQ(plan->octets(), 1u);
  EXPECT_EQ(plan->max_range_bytes, 128 * kMiB);
  EXPECT_TRUE(plan->device_memory_mapped);
  EXPECT_TRUE(plan->device_memory_cached);
  EXPECT_FALSE(plan->packed_dot);
}

TEST(DevicePlan, KeepsRangesWithin32BitOffsets) {
  EXPECT_EQ(PlanDevice(Card(), {})->max_range_bytes, std::uint64_t{1} << 31);
  DeviceSnapshot card = Card();
  card.max_allocation_bytes = 1024 * kMiB;
  EXPECT_EQ(PlanDevice(card, {})->max_range_bytes, 1024 * kMiB);
}

TEST(DevicePlan, FollowsTheTuning) {
  DeviceSnapshot card = Card();
  card.memory_types = {kUnified};
  const auto plan = PlanDevice(card, {.max_range_bytes = kMiB,
                                      .memory_bytes = 100 * kMiB,
                                      .use_staging = true,
                                      .dot_product = DotProduct::kFloat,
                                      .workgroup_lanes = 128});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->max_range_bytes, kMiB);
  EXPECT_EQ(plan->memory_bytes, 100 * kMiB);
  EXPECT_FALSE(plan->device_memory_mapped);
  EXPECT_FALSE(plan->packed_dot);
  EXPECT_EQ(plan->workgroup_lanes, 128u);
}

TEST(DevicePlan, NamesWhatADeviceLacks) {
  const auto refusal = [](auto change, DeviceTuning tuning = {}) {
    DeviceSnapshot card = Card();
    change(card);
    const auto plan = PlanDevice(card, tuning);
    EXPECT_FALSE(plan.has_value());
    EXPECT_EQ(plan.has_value() ? ErrorCode::kInternal : plan.error().code,
              ErrorCode::kUnimplemented);
    return plan.has_value() ? std::string("accepted") : plan.error().message;
  };
  EXPECT_THAT(refusal([](auto& d) { d.api_minor = 1; }),
              HasSubstr("Card cannot be used: Vulkan 1.2"));
  EXPECT_THAT(refusal([](auto& d) { d.subgroup_shuffle_in_compute = false; }),
              HasSubstr("shuffle"));
  EXPECT_THAT(refusal([](auto& d) { d.subgroup_lanes = 4; }), HasSubstr("subgroups of 4"));
  EXPECT_THAT(refusal([](auto& d) { d.preserves_special_values = false; }),
              HasSubstr("SignedZeroInfNanPreserve"));
  EXPECT_THAT(refusal([](auto& d) { d.max_storage_buffers = 8; }), HasSubstr("8 storage buffers"));
  EXPECT_THAT(refusal([](auto& d) { d.max_argument_bytes = 64; }), HasSubstr("push constants"));
  EXPECT_THAT(refusal([](auto& d) { d.max_workgroups[2] = 1; }), HasSubstr("workgroups"));
  EXPECT_THAT(refusal([](auto& d) { d.queue_families = {{.graphics = true}}; }),
              HasSubstr("queue"));
  EXPECT_THAT(refusal([](auto& d) { d.memory_types = {kVram}; }), HasSubstr("memory"));
  EXPECT_THAT(refusal([](auto& d) { d.max_range_bytes = 4096; }), HasSubstr("bindings of 4096"));
  EXPECT_THAT(refusal([](auto& d) { d.max_workgroup_lanes = 32; }), HasSubstr("64 are needed"));
  EXPECT_THAT(refusal([](auto& d) { d.shared_memory_bytes = 4096; }), HasSubstr("shared memory"));
  EXPECT_THAT(refusal([](auto& d) { d.packed_dot = false; }, {.dot_product = DotProduct::kPacked}),
              HasSubstr("dot product"));
}

}  // namespace
}  // namespace fallow::engine
