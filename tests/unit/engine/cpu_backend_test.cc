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
  for (const std::uint32_t outputs : {33u, 2000u}) {
    const Bytes weights = values.Weights(WeightType::kQ8_0, outputs, kColumns);
    std::vector<std::vector<float>> results;
    for (const std::uint32_t threads : {1u, 2u, 3u, 8u}) {
      const auto backend = NewCpuBackend({.thread_count = threads});
      const auto matrix = backend->NewMatrix(WeightType::kQ8_0, outputs, kColumns, weights);
      const auto in = backend->NewTensor(kRows, kColumns);
      const auto out = backend->NewTensor(kRows, outputs);
      ASSERT_TRUE(matrix.has_value() && in.has_value() && out.has_value());
      ASSERT_TRUE((*backend).Upload(**in, x).has_value());
      const std::vector<std::uint32_t> zeros(kRows);
      const auto cache = backend->NewKvCache({1, 1, 32});
      ASSERT_TRUE(cache.has_value());
      ASSERT_TRUE(backend->BeginStep({zeros, zeros, zeros, 1}).has_value());
      backend->MatMul(**matrix, **in, **out, kRows);
      ASSERT_TRUE(backend->Finish(StopFlag(false)).has_value());
      results.emplace_back(std::size_t{kRows} * outputs);
      ASSERT_TRUE(backend->Download(**out, kRows, results.back()).has_value());
    }
    EXPECT_THAT(results, Each(results[0])) << outputs;
  }
}

TEST(CpuBackend, GivesMemoryBackAndSaysWhenThereIsNone) {
  const auto backend = NewCpuBackend({.thread_count = 1, .memory_bytes = 100'000});
  EXPECT_EQ(backend->info().memory_bytes, 100'000u);
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(backend->NewTensor(100, 100).has_value()) << i;  // 40 kB each
  const auto first = backend->NewTensor(100, 100);
  const auto second = backend->NewTensor(100, 100);
  const auto third = backend->NewTensor(100, 100);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(third.error().message, HasSubstr("40000 bytes"));
  EXPECT_EQ(backend->NewTensor(~0u, ~0u).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(backend->NewKvCache({~0u, 1000, 256}).error().code, ErrorCode::kResourceExhausted);
}

TEST(CpuBackend, NamesItsProcessor) {
  EXPECT_EQ(NewCpuBackend({.thread_count = 1, .path = CpuPath::kPlain})->info().processor,
            "plain C++, 1 thread");
  EXPECT_THAT(NewCpuBackend({.thread_count = 3})->info().processor, HasSubstr(", 3 threads"));
  EXPECT_FALSE(NewCpuBackend({})->info().vulkan);
}

}  // namespace
}  // namespace fallow::engine
