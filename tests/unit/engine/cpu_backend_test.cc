// The CPU backend around its kernels: threads, ways of sharing work out, memory, stops. Its bits
// are compared operator by operator in tests/conformance.
#include "engine/cpu/cpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>

#include "engine/cpu/thread_pool.h"
#include "tests/unit/engine/random_values.h"

namespace fallow::engine {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

TEST(ThreadPool, RunsEveryTaskOnceHoweverManyThreads) {
  for (const std::uint32_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    for (const std::uint32_t tasks : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<std::atomic<int>> runs(tasks);
      pool.Run(tasks, [&](std::uint32_t task) { ++runs[task]; });
      for (const std::atomic<int>& run : runs) EXPECT_EQ(run, 1);
    }
  }
}

// Weights beyond a core's cache are shared out by outputs, small ones by rows; neither may be seen.
TEST(CpuBackend, GivesTheSameBitsHoweverWorkIsSharedOut) {
  constexpr std::uint32_t kRows = 37, kColumns = 1024;
  RandomValues values(21);
  const auto x = values.Activations(std::size_t{kRows} * kColumns);
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_K, WeightType::kF16}) {
    for (const std::uint32_t outputs : {33u, 2000u}) {
      const Bytes weights = values.Weights(type, outputs, kColumns);
      std::vector<std::vector<float>> results;
      for (const std::uint32_t threads : {1u, 2u, 3u, 8u}) {
        const auto backend = NewCpuBackend({.thread_count = threads});
        const auto matrix = backend->NewMatrix(type, outputs, kColumns, weights);
        const auto in = backend->NewTensor(kRows, kColumns);
        const auto out = backend->NewTensor(kRows, outputs);
        ASSERT_TRUE(matrix.has_value() && in.has_value() && out.has_value());
        ASSERT_TRUE((*backend).Upload(**in, x).has_value());
        const std::vector<std::uint32_t> zeros(kRows);
        const auto cache = backend->NewKvCache({1, 1, 32});
        ASSERT_TRUE(cache.has_value());
        ASSERT_TRUE(backend->BeginStep({zeros, zeros, zeros, 1}).has_value());
        backend->MatMul(**matrix, **in, **out, kRows);
        ASSERT_TRUE(backend->Finish(StepControl()).has_value());
        results.emplace_back(std::size_t{kRows} * outputs);
        ASSERT_TRUE(backend->Download(**out, kRows, results.back()).has_value());
      }
      EXPECT_THAT(results, Each(results[0])) << WeightTypeName(type) << ", " << outputs;
    }
  }
}

// Rows that look ahead see what rows computed by other threads store.
TEST(CpuBackend, StoresEveryKeyBeforeARowLooksAhead) {
  constexpr std::uint32_t kRows = 200, kColumns = 64;
  RandomValues values(22);
  const auto keys = values.Activations(kRows * kColumns);
  std::vector<std::uint32_t> zeros(kRows), positions(kRows), last_seen(kRows, kRows - 1);
  std::iota(positions.begin(), positions.end(), 0u);
  std::vector<std::vector<float>> results;
  for (const std::uint32_t threads : {1u, 2u, 8u}) {
    const auto backend = NewCpuBackend({.thread_count = threads});
    const auto x = backend->NewTensor(kRows, kColumns);
    const auto out = backend->NewTensor(kRows, kColumns);
    const auto cache = backend->NewKvCache({1, 2, 32});
    ASSERT_TRUE(x.has_value() && out.has_value() && cache.has_value());
    ASSERT_TRUE(backend->Upload(**x, keys).has_value());
    ASSERT_TRUE(backend
                    ->BeginStep({.tokens = zeros,
                                 .positions = positions,
                                 .pages = zeros,
                                 .pages_per_row = 1,
                                 .last_seen = last_seen})
                    .has_value());
    backend->StoreKv(**x, **x, **cache);
    backend->Attention(**x, **cache, {2, 2, 32}, **out);
    ASSERT_TRUE(backend->Finish(StepControl()).has_value());
    results.emplace_back(kRows * kColumns);
    ASSERT_TRUE(backend->Download(**out, kRows, results.back()).has_value());
  }
  EXPECT_THAT(results, Each(results[0]));
}

// Threads fill matrices: the error told is the first row's all the same.
TEST(CpuBackend, NamesTheFirstWeightThatIsNotFinite) {
  constexpr std::uint32_t kRows = 5000, kColumns = 64;
  Bytes data(kRows * WeightRowBytes(WeightType::kF16, kColumns));
  for (const std::uint32_t row : {1234u, 4321u, 4999u}) data[(row * kColumns + 7) * 2 + 1] = 0x7C;
  const auto backend = NewCpuBackend({.thread_count = 4});
  const auto matrix = backend->NewMatrix(WeightType::kF16, kRows, kColumns, data);
  ASSERT_FALSE(matrix.has_value());
  EXPECT_EQ(matrix.error().message, "row 1234, column 7: the weight is not a finite number");
  EXPECT_EQ(backend->used_bytes(), 0u);
}

TEST(CpuBackend, GivesMemoryBackAndSaysWhenThereIsNone) {
  const auto backend = NewCpuBackend({.thread_count = 1, .memory_bytes = 100'000});
  EXPECT_EQ(backend->info().memory_bytes, 100'000u);
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(backend->NewTensor(100, 100).has_value()) << i;  // 40 kB each
  EXPECT_EQ(backend->used_bytes(), 0u);
  const auto first = backend->NewTensor(100, 100);
  const auto second = backend->NewTensor(100, 100);
  const auto third = backend->NewTensor(100, 100);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(third.error().message, HasSubstr("40000 bytes"));
  EXPECT_EQ(backend->NewTensor(~0u, ~0u).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(backend->NewKvCache({~0u, 1000, 256}).error().code, ErrorCode::kResourceExhausted);
}

// Of what is left of the machine now, for others may hold the most of it.
TEST(CpuBackend, LeavesMemoryToOthers) {
  constexpr std::uint64_t kSpare = 64 << 20;
  const std::uint64_t all = NewCpuBackend({.thread_count = 1})->info().memory_bytes;
  const auto left = [&](std::uint64_t spare) {
    const CpuBackendOptions options{.thread_count = 1, .spare_memory_bytes = spare};
    return NewCpuBackend(options)->info().memory_bytes;
  };
  EXPECT_LT(left(all - kSpare), all / 2) << "the machine's memory moves while this is measured";
  EXPECT_EQ(left(UINT64_MAX), 0u);
}

TEST(CpuBackend, NamesItsProcessor) {
  EXPECT_EQ(NewCpuBackend({.thread_count = 1, .path = CpuPath::kPlain})->info().processor,
            "plain C++, 1 thread");
  EXPECT_THAT(NewCpuBackend({.thread_count = 3})->info().processor, HasSubstr(", 3 threads"));
  EXPECT_FALSE(NewCpuBackend({})->info().vulkan);
}

}  // namespace
}  // namespace fallow::engine
