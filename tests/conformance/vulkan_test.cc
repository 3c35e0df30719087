// What only a Vulkan device has: small bindings, slices, stops in the middle of a step.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
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

// A long product for a slow device: enough for many slices of a few milliseconds.
void MultiplyAtLength(Workbench& bench, std::uint32_t repeats, const StepControl& control,
                      Status* status) {
  constexpr std::uint32_t kOutputs = 2048, kColumns = 512, kRows = 64;
  const auto weights = bench.NewMatrix(WeightType::kQ8_0, kOutputs, kColumns, 5);
  const auto x = bench.NewTensor(kRows, kColumns, TryingValues(kRows * kColumns, 6));
  const auto y = bench.NewTensor(kRows, kOutputs);
  bench.BeginRows(kRows);
  for (std::uint32_t i = 0; i < repeats; ++i) bench.backend().MatMul(*weights, *x, *y, kRows);
  *status = bench.backend().Finish(control);
  bench.Take(*y, kRows);
}

// Operators that are a kernel each.
constexpr int kSomeKernels = 4;

void RecordSomeKernels(Backend& backend, Tensor& x, const Tensor& y) {
  backend.Scale(x, 0.5f);
  backend.SiluMul(x, y);
  backend.GeluMul(x, y);
  backend.GeluErf(x);
}

void UseSomeKernels(Workbench& bench) {
  const auto x = bench.NewTensor(4, 64, TryingValues(4 * 64, 1));
  const auto y = bench.NewTensor(4, 64, TryingValues(4 * 64, 2));
  bench.BeginRows(4);
  RecordSomeKernels(bench.backend(), *x, *y);
  bench.Finish();
  bench.Take(*x, 4);
}

// With bindings of 64 KiB a matrix of a few hundred KB lies in many of them.
TEST_F(VulkanTest, SplitsWeightsThatExceedABinding) {
  ASSERT_NO_FATAL_FAILURE(Open({.max_range_bytes = 1 << 16}));
  if (IsSkipped()) return;
  for (const WeightFormat& format : AllWeightFormats())
    for (const std::uint32_t rows : {1u, 9u}) {
      SCOPED_TRACE(format.name);
      ExpectSameBits([&](Workbench& bench) {
        constexpr std::uint32_t kOutputs = 1000;
        const std::uint32_t columns = format.block_values == 256 ? 512 : 288;
        const auto weights = bench.NewMatrix(format.type, kOutputs, columns, 5);
        const auto x = bench.NewTensor(rows, columns, TryingValues(rows * columns, 6));
        const auto y = bench.NewTensor(rows, kOutputs);
        const auto z = bench.NewTensor(rows, kOutputs);
        const auto embedded = bench.NewTensor(rows, columns);
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
  ASSERT_NO_FATAL_FAILURE(Open({.memory_bytes = std::uint64_t{40} << 20}));
  if (IsSkipped()) return;
  for (int i = 0; i < 5; ++i) {
    const auto tensor = vulkan_->NewTensor(2048, 2048);  // 25 MiB with its int8 forms
    ASSERT_TRUE(tensor.has_value()) << i << ": " << tensor.error().message;
  }
}

// Operators that write a tensor write the int8 form that its products read with it, from the second
// step on.
void MultiplyWhatOperatorsWrite(Workbench& bench, std::span<const WeightType> types,
                                std::uint32_t columns, std::uint32_t rows) {
  std::vector<std::unique_ptr<Matrix>> weights;
  std::vector<std::unique_ptr<Tensor>> products;
  for (const WeightType type : types) {
    weights.push_back(bench.NewMatrix(type, 3, columns, 5));
    products.push_back(bench.NewTensor(rows, 3));
  }
  const auto x = bench.NewTensor(rows, columns);
  const auto y = bench.NewTensor(rows, columns, TryingValues(rows * columns, 2));
  const auto row = bench.NewTensor(1, columns, TryingValues(columns, 3));
  const auto cache = bench.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32});
  Backend& backend = bench.backend();
  const AttentionShape heads{.head_count = columns / 32, .kv_head_count = 1, .head_size = 32};
  const std::vector<std::function<void()>> operators = {
      [&] { backend.RmsNorm(*y, *row, 1e-5f, *x, rows); },
      [&] { backend.SiluMul(*x, *y); },
      [&] { backend.GeluMul(*x, *y); },
      [&] { backend.GeluErf(*x); },
      [&] { backend.LayerNorm(*y, *row, *row, 1e-5f, *x, rows); },
      [&] { backend.Attention(*y, *cache, heads, *x); },
  };
  for (std::uint32_t step = 0; step < 2; ++step)
    for (const auto& apply : operators) {
      ASSERT_TRUE(backend.Upload(*x, TryingValues(rows * columns, 10 + step)).has_value());
      bench.BeginRows(rows);
      apply();
      for (std::size_t i = 0; i < weights.size(); ++i)
        backend.MatMul(*weights[i], *x, *products[i], rows);
      bench.Finish();
      for (const auto& product : products) bench.Take(*product, rows);
    }
}

TEST_F(VulkanTest, WritesInt8FormsBesideValues) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  for (const WeightFormat& format : AllWeightFormats()) {
    if (!format.is_integer()) continue;
    SCOPED_TRACE(format.name);
    ExpectSameBits([&](Workbench& bench) {
      MultiplyWhatOperatorsWrite(bench, std::array{format.type}, 768, 5);
    });
  }
  ExpectSameBits([](Workbench& bench) {
    MultiplyWhatOperatorsWrite(bench, std::array{WeightType::kQ6_K, WeightType::kQ4_1}, 512, 3);
  });
}

// The longest loops of all are those of a norm that writes such a form.
TEST_F(VulkanTest, WritesInt8FormsOfTheWidestRow) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  constexpr std::uint32_t kWidest = 1u << 19;
  for (const WeightType type : {WeightType::kQ4_K, WeightType::kQ4_1})
    ExpectSameBits([&](Workbench& bench) {
      const auto weights = bench.NewMatrix(type, 3, kWidest, 5);
      const auto x = bench.NewTensor(1, kWidest, TryingValues(kWidest, 1));
      const auto row = bench.NewTensor(1, kWidest, TryingValues(kWidest, 2));
      const auto out = bench.NewTensor(1, kWidest);
      const auto y = bench.NewTensor(1, 3);
      for (int step = 0; step < 2; ++step) {
        bench.BeginRows(1);
        bench.backend().RmsNorm(*x, *row, 1e-5f, *out, 1);
        bench.backend().MatMul(*weights, *out, *y, 1);
        bench.Finish();
        bench.Take(*y, 1);
        bench.BeginRows(1);
        bench.backend().LayerNorm(*x, *row, *row, 1e-5f, *out, 1);
        bench.backend().MatMul(*weights, *out, *y, 1);
        bench.Finish();
        bench.Take(*y, 1);
      }
    });
}

// More than fills the staging ring, so that chunks are in flight while others are filled.
TEST_F(VulkanTest, LoadsWeightsThroughAShortRing) {
  ASSERT_NO_FATAL_FAILURE(Open({.use_staging = true}));
  if (IsSkipped()) return;
  ExpectSameBits([](Workbench& bench) {
    constexpr std::uint32_t kOutputs = 5000, kColumns = 1024;  // 20 MB
    const auto weights = bench.NewMatrix(WeightType::kF32, kOutputs, kColumns, 5);
    const auto x = bench.NewTensor(1, kColumns, TryingValues(kColumns, 6));
    const auto y = bench.NewTensor(1, kOutputs);
    bench.BeginRows(1);
    bench.backend().MatMul(*weights, *x, *y, 1);
    bench.Finish();
    bench.Take(*y, 1);
  });
}

// What does not fit is said, with what is left; what is freed is there again.
TEST_F(VulkanTest, SaysWhatIsLeftWhenMemoryIsExhausted) {
  constexpr std::uint64_t kMemoryBytes = std::uint64_t{24} << 20;
  ASSERT_NO_FATAL_FAILURE(Open({.memory_bytes = kMemoryBytes}));
  if (IsSkipped()) return;
  EXPECT_EQ(vulkan_->info().memory_bytes, kMemoryBytes);
  constexpr KvShape kCache{.page_count = 64, .kv_head_count = 4, .head_size = 64};  // 9.4 MB
  std::vector<std::unique_ptr<KvCache>> caches;
  for (int i = 0; i < 2; ++i) {
    auto cache = vulkan_->NewKvCache(kCache);
    ASSERT_TRUE(cache.has_value()) << cache.error().message;
    caches.push_back(*std::move(cache));
  }
  const std::uint64_t used = vulkan_->used_bytes();
  const auto third = vulkan_->NewKvCache(kCache);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(third.error().message, HasSubstr("a cache's values of 4194304 bytes"));
  EXPECT_THAT(third.error().message, HasSubstr("of the device's 25165824 bytes are left"));
  EXPECT_EQ(vulkan_->used_bytes(), used);  // nothing of it stays

  // Weights that fit in part leave nothing behind either.
  const Bytes zeros(WeightRowBytes(WeightType::kQ8_0, 8192) * 2048);
  EXPECT_EQ(vulkan_->NewMatrix(WeightType::kQ8_0, 2048, 8192, zeros).error().code,
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(vulkan_->used_bytes(), used);
  caches.clear();
  EXPECT_TRUE(vulkan_->NewMatrix(WeightType::kQ8_0, 2048, 8192, zeros).has_value());
  const StepControl control;
  Status status;
  ExpectSameBits([&](Workbench& bench) { MultiplyAtLength(bench, 1, control, &status); });
}

// A step that finds no room for its partial results ends with an error; the next one is whole.
TEST_F(VulkanTest, FailsAStepThatFindsNoRoom) {
  ASSERT_NO_FATAL_FAILURE(Open({.memory_bytes = std::uint64_t{10} << 20}));
  if (IsSkipped()) return;
  constexpr AttentionShape kShape{.head_count = 32, .kv_head_count = 1, .head_size = 128};
  constexpr std::uint32_t kPages = 8;
  const StepControl control;
  // `rows` rows of one sequence at its end.
  const auto attend = [&](Workbench& bench, std::uint32_t rows) {
    const auto cache = bench.NewKvCache({kPages, kShape.kv_head_count, kShape.head_size});
    const auto q = bench.NewTensor(rows, 32 * 128, TryingValues(rows * 32 * 128, 1));
    const auto out = bench.NewTensor(rows, 32 * 128);
    const std::vector<std::uint32_t> tokens(rows), positions(rows, kPages * 256 - 1);
    std::vector<std::uint32_t> pages(rows * kPages);
    for (std::uint32_t i = 0; i < pages.size(); ++i) pages[i] = i % kPages;
    bench.Begin(
        {.tokens = tokens, .positions = positions, .pages = pages, .pages_per_row = kPages});
    bench.backend().Attention(*q, *cache, kShape, *out);
    const Status status = bench.backend().Finish(control);
    if (status.has_value()) bench.Take(*out, rows);
    return status;
  };
  Workbench bench(*vulkan_);
  const Status status = attend(bench, 64);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(status.error().message, HasSubstr("partial results of attention"));
  ExpectSameBits([&](Workbench& b) { EXPECT_TRUE(attend(b, 2).has_value()); });
}

// Steps of all kinds take no more than was said of them before.
TEST_F(VulkanTest, StepsTakeNoMoreThanTheySay) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const StepControl control;
  constexpr std::uint32_t kRows = 40, kPages = 20;
  for (const std::uint32_t head_size : {32u, 80u, 256u}) {
    const AttentionShape shape{.head_count = 8, .kv_head_count = 2, .head_size = head_size};
    Workbench bench(*vulkan_);
    const auto cache = bench.NewKvCache({kPages, shape.kv_head_count, head_size});
    const auto q = bench.NewTensor(kRows, 8 * head_size);
    const auto out = bench.NewTensor(kRows, 8 * head_size);
    const std::uint64_t before = vulkan_->used_bytes();
    for (const std::uint32_t pages_per_row : {1u, 2u, 3u, 7u, kPages})
      for (const std::uint32_t rows : {1u, 3u, kRows}) {
        const std::vector<std::uint32_t> zeros(rows), last(rows, pages_per_row * 256 - 1);
        const std::vector<std::uint32_t> pages(rows * pages_per_row);
        bench.Begin({.tokens = zeros,
                     .positions = last,
                     .pages = pages,
                     .pages_per_row = pages_per_row,
                     .last_seen = last,
                     .rotary_places = last});
        bench.backend().Attention(*q, *cache, shape, *out);
        bench.backend().GatherRows(*q, zeros, *out);
        bench.Finish();
        EXPECT_LE(vulkan_->used_bytes() - before, vulkan_->StepBytes(shape, kRows, kPages));
      }
  }
}

// The blocks that memory comes in hold little beside it.
TEST_F(VulkanTest, ReservesLittleMoreThanIsUsed) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  std::vector<std::unique_ptr<Tensor>> tensors;
  for (std::uint32_t i = 0; vulkan_->used_bytes() < 100'000'000; ++i) {
    auto tensor = vulkan_->NewTensor(8, 1000 + i % 7 * 3000);
    ASSERT_TRUE(tensor.has_value()) << tensor.error().message;
    tensors.push_back(*std::move(tensor));
  }
  EXPECT_GE(vulkan_->counters().reserved_bytes, vulkan_->used_bytes());
  EXPECT_LE(static_cast<double>(vulkan_->counters().reserved_bytes),
            1.05 * static_cast<double>(vulkan_->used_bytes()));
  tensors.clear();
  EXPECT_EQ(vulkan_->used_bytes(), 0u);
  EXPECT_EQ(vulkan_->discarded_bytes(), vulkan_->counters().reserved_bytes);
  ASSERT_TRUE(vulkan_->GiveBack(StepControl()).has_value());
  EXPECT_EQ(vulkan_->counters().reserved_bytes, 0u);
}

TEST_F(VulkanTest, CutsLongStepsIntoSlices) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const StepControl control;
  Status status;
  ExpectSameBits([&](Workbench& bench) { MultiplyAtLength(bench, 20, control, &status); });
  EXPECT_TRUE(status.has_value());
  EXPECT_GT(vulkan_->counters().submissions, 4u);
}

// Some drivers compile a kernel when it first runs, and nothing stops a compiler.
TEST_F(VulkanTest, GivesEachNewKernelASliceToItself) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const auto submissions_of_a_step = [&] {
    const std::uint64_t before = vulkan_->counters().submissions;
    ExpectSameBits(UseSomeKernels);
    return vulkan_->counters().submissions - before;
  };
  const std::uint64_t first = submissions_of_a_step();
  EXPECT_LE(submissions_of_a_step() + kSomeKernels - 1, first);
}

// Remembers what it was asked for.
class AskedStore : public KernelStore {
 public:
  ByteView Find(const Digest& key) const override {
    asked.insert(key);
    const auto found = kept.find(key);
    return found == kept.end() ? rubbish : ByteView(found->second);
  }
  void Keep(const Digest& key, ByteView compiled) override {
    kept[key] = Bytes(compiled.begin(), compiled.end());
  }
  mutable std::set<Digest> asked;
  std::map<Digest, Bytes> kept;
  Bytes rubbish = Bytes(1000, std::uint8_t{0xA5});
};

// The driver that is here may keep what it compiles or not, and gets no rubbish.
TEST_F(VulkanTest, ComputesTheSameWithKernelsOfAnEarlierProcess) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  AskedStore store;
  std::set<Digest> asked;
  for (int process = 0; process < 2; ++process) {
    store.asked.clear();
    auto backend = NewTunedVulkanBackend({.kernels = &store}, {});
    ASSERT_TRUE(backend.has_value());
    EXPECT_EQ(Run(**backend, UseSomeKernels), Run(*vulkan_, UseSomeKernels));
    EXPECT_EQ(store.asked.size(), static_cast<std::size_t>(kSomeKernels));
    EXPECT_TRUE(asked.empty() || asked == store.asked);
    asked = store.asked;
  }
}

// Before each kernel is made, and before it first runs.
TEST_F(VulkanTest, AStopIsAnsweredBetweenTwoNewKernels) {
  for (int look = 1; look <= 2 * kSomeKernels; ++look) {
    ASSERT_NO_FATAL_FAILURE(Open({}));
    if (IsSkipped()) return;
    int looks = 0;
    StepControl control;
    control.OnLook([&] {
      if (++looks == look) control.Stop();
    });
    Workbench bench(*vulkan_);
    const auto x = bench.NewTensor(4, 64, TryingValues(4 * 64, 1));
    const auto y = bench.NewTensor(4, 64, TryingValues(4 * 64, 2));
    bench.BeginRows(4);
    RecordSomeKernels(*vulkan_, *x, *y);
    const Status status = vulkan_->Finish(control);
    ASSERT_FALSE(status.has_value()) << look;
    EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(looks, look);
    ExpectSameBits(UseSomeKernels);
  }
}

// A stop from another thread ends a step of seconds; the next step is whole again.
TEST_F(VulkanTest, StopsInTheMiddleOfAStep) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  StepControl control;
  Status status;
  std::thread owner([&] { control.Stop(); });
  Run(*vulkan_, [&](Workbench& bench) { MultiplyAtLength(bench, 5000, control, &status); });
  owner.join();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  control.Resume();
  ExpectSameBits([&](Workbench& bench) { MultiplyAtLength(bench, 1, control, &status); });
}

TEST_F(VulkanTest, WorksBesideAnotherBackendOnTheSameDevice) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  if (IsSkipped()) return;
  const StepControl control;
  Status status;
  auto other = NewTunedVulkanBackend({}, {});
  ASSERT_TRUE(other.has_value());
  const auto work = [&](Workbench& bench) { MultiplyAtLength(bench, 1, control, &status); };
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
