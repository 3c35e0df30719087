// What only a Vulkan device has: small bindings, slices, stops in the middle of a step.
#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/tuned_backend.h"
#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

using testing::HasSubstr;

class VulkanTest : public testing::Test {
 protected:
  void Open(const DeviceTuning& tuning) {
    auto backend = NewTunedVulkanBackend({}, tuning);
    if (const auto devices = ListVulkanDevices();
        !devices.has_value() || !std::ranges::any_of(*devices, [](const VulkanDeviceInfo& device) {
          return device.unusable_reason.empty();
        }))
      GTEST_SKIP() << "no usable Vulkan device on this machine";
    ASSERT_TRUE(backend.has_value()) << backend.error().message;
    vulkan_ = *std::move(backend);
  }

  static std::vector<float> Run(Backend& backend, const std::function<void(Workbench&)>& work) {
    Workbench bench(backend);
    work(bench);
    return bench.taken();
  }

  void ExpectSameBits(const std::function<void(Workbench&)>& work) {
    const std::vector<float> expected = Run(*reference_, work);
    const std::vector<float> got = Run(*vulkan_, work);
    ASSERT_EQ(expected.size(), got.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(expected[i]), std::bit_cast<std::uint32_t>(got[i]))
          << "value " << i;
  }

  std::unique_ptr<Backend> reference_ = NewCpuBackend({.thread_count = 1, .path = CpuPath::kPlain});
  std::unique_ptr<TunedVulkanBackend> vulkan_;
};

// With bindings of 64 KiB a matrix of a few hundred KB lies in many of them.
TEST_F(VulkanTest, SplitsWeightsThatExceedABinding) {
  ASSERT_NO_FATAL_FAILURE(Open({.max_range_bytes = 1 << 16}));
  if (IsSkipped()) return;
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kQ8_0})
    for (const std::uint32_t rows : {1u, 9u}) {
      SCOPED_TRACE(WeightTypeName(type));
      ExpectSameBits([&](Workbench& bench) {
        constexpr std::uint32_t kOutputs = 1000, kColumns = 288;
        const auto weights = bench.NewMatrix(type, kOutputs, kColumns, 5);
        const auto x = bench.NewTensor(rows, kColumns, TryingValues(rows * kColumns, 6));
        const auto y = bench.NewTensor(rows, kOutputs);
        const auto z = bench.NewTensor(rows, kOutputs);
        const auto embedded = bench.NewTensor(rows, kColumns);
        const auto cache = bench.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32});
        std::vector<std::uint32_t> tokens(rows), zeros(rows);
        for (std::uint32_t r = 0; r < rows; ++r) tokens[r] = (r * 331 + 999) % kOutputs;
        bench.Begin({.tokens = tokens, .positions = zeros, .pages = zeros, .pages_per_row = 1});
        bench.backend().Embed(*weights, EmbedBy::kToken, *embedded);
        bench.backend().MatMul(*weights, *x, *y, rows);
        bench.backend().MatMul(*weights, *embedded, *z, rows);
        bench.Finish();
        bench.Take(*embedded, rows);
        bench.Take(*y, rows);
        bench.Take(*z, rows);
      });
    }
}

TEST_F(VulkanTest, NamesWhatExceedsABinding) {
  ASSERT_NO_FATAL_FAILURE(Open({.max_range_bytes = 1 << 16}));
  if (IsSkipped()) return;
  const auto tensor = vulkan_->NewTensor(1024, 1024);
  ASSERT_FALSE(tensor.has_value());
  EXPECT_EQ(tensor.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(tensor.error().message, HasSubstr("4194304 bytes, this device binds at most 65536"));
  const auto matrix = vulkan_->NewMatrix(WeightType::kF32, 1, 4096, Bytes(4096 * 4));
  ASSERT_FALSE(matrix.has_value());
  EXPECT_EQ(matrix.error().code, ErrorCode::kResourceExhausted);
  EXPECT_FALSE(
      vulkan_->NewKvCache({.page_count = 1000, .kv_head_count = 8, .head_size = 128}).has_value());
}

TEST_F(VulkanTest, RefusesWhatItsLoopsCouldNotWalk) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const auto tensor = vulkan_->NewTensor(1, (1 << 19) + 1);
  ASSERT_FALSE(tensor.has_value());
  EXPECT_THAT(tensor.error().message, HasSubstr("524288"));
  EXPECT_FALSE(vulkan_->NewTensor(1, 0).has_value());
}

TEST_F(VulkanTest, GivesBackMemory) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  for (int i = 0; i < 40; ++i) {
    const auto tensor = vulkan_->NewTensor(4096, 4096);  // 64 MiB
    ASSERT_TRUE(tensor.has_value()) << i << ": " << tensor.error().message;
  }
}

// A long product for a slow device: enough for many slices of a few milliseconds.
void MultiplyAtLength(Workbench& bench, std::uint32_t repeats, const StopFlag& stop,
                      Status* status) {
  constexpr std::uint32_t kOutputs = 2048, kColumns = 512, kRows = 64;
  const auto weights = bench.NewMatrix(WeightType::kQ8_0, kOutputs, kColumns, 5);
  const auto x = bench.NewTensor(kRows, kColumns, TryingValues(kRows * kColumns, 6));
  const auto y = bench.NewTensor(kRows, kOutputs);
  bench.BeginRows(kRows);
  for (std::uint32_t i = 0; i < repeats; ++i) bench.backend().MatMul(*weights, *x, *y, kRows);
  *status = bench.backend().Finish(stop);
  bench.Take(*y, kRows);
}

TEST_F(VulkanTest, CutsLongStepsIntoSlices) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const StopFlag stop{false};
  Status status;
  ExpectSameBits([&](Workbench& bench) { MultiplyAtLength(bench, 20, stop, &status); });
  EXPECT_TRUE(status.has_value());
  EXPECT_GT(vulkan_->counters().submissions, 4u);
}

// A stop from another thread ends a step of seconds; the next step is whole again.
TEST_F(VulkanTest, StopsInTheMiddleOfAStep) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  StopFlag stop{false};
  Status status;
  std::thread owner([&] { stop = true; });
  Run(*vulkan_, [&](Workbench& bench) { MultiplyAtLength(bench, 5000, stop, &status); });
  owner.join();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  stop = false;
  ExpectSameBits([&](Workbench& bench) { MultiplyAtLength(bench, 1, stop, &status); });
}

TEST_F(VulkanTest, WorksBesideAnotherBackendOnTheSameDevice) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const StopFlag stop{false};
  Status status;
  auto other = NewTunedVulkanBackend({}, {});
  ASSERT_TRUE(other.has_value());
  const auto work = [&](Workbench& bench) { MultiplyAtLength(bench, 1, stop, &status); };
  EXPECT_EQ(Run(**other, work), Run(*vulkan_, work));
  other->reset();
  ExpectSameBits(work);
}

TEST(VulkanDevices, ListsThemWithTheirNames) {
  const auto devices = ListVulkanDevices();
  if (!devices.has_value()) GTEST_SKIP() << devices.error().message;
  for (const VulkanDeviceInfo& device : *devices) EXPECT_FALSE(device.name.empty());
}

TEST(VulkanDevices, SaysWhatThereIsWhenAskedForAnother) {
  if (const auto devices = ListVulkanDevices(); !devices.has_value())
    GTEST_SKIP() << devices.error().message;
  const auto backend = NewVulkanBackend({.device = "a card that nobody makes"});
  ASSERT_FALSE(backend.has_value());
  EXPECT_EQ(backend.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(backend.error().message, HasSubstr("there are:"));
}

}  // namespace
}  // namespace fallow::engine
