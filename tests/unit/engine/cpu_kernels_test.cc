// Every vectorised kernel against plain C++, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/cpu/cpu_storage.h"
#include "engine/cpu/kernel_set.h"
#include "tests/unit/engine/random_values.h"

namespace fallow::engine {
namespace {

constexpr float kUntouched = 12345.0f;

std::vector<std::uint32_t> BitsOf(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) bits[i] = std::bit_cast<std::uint32_t>(values[i]);
  return bits;
}

class CpuKernels : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    kernels_ = std::string_view(GetParam()) == "AVX2" ? Avx2Kernels() : Avx512Kernels();
    if (kernels_ == nullptr) GTEST_SKIP() << "this processor has no " << GetParam();
  }

  std::vector<float> Multiply(const KernelSet& kernels, WeightType type, std::uint32_t outputs,
                              std::uint32_t columns, const Bytes& weights,
                              const std::vector<float>& x, std::uint32_t rows) {
    CpuMatrix matrix(budget_, type, outputs, columns, kernels.weight_layout);
    EXPECT_TRUE(matrix.Fill(weights).has_value());
    CpuTensor input(budget_, rows, columns);
    std::ranges::copy(x, input.values.data());
    if (type == WeightType::kQ8_0) {
      kernels.quantise(input.values.data(), rows * columns, input.quants.data(),
                       input.scales.data(), input.sums.data());
    }
    std::vector<float> out(std::size_t{rows} * outputs + 1, kUntouched);
    kernels.matmul(matrix.View(), input.View(), {0, rows},
                   {0, (outputs + kRowGroup - 1) / kRowGroup}, out.data());
    EXPECT_EQ(out.back(), kUntouched);
    return out;
  }

  void CompareProducts(WeightType type, std::initializer_list<std::uint32_t> column_counts) {
    for (const std::uint32_t columns : column_counts) {
      for (const std::uint32_t outputs : {1u, 15u, 16u, 17u, 50u}) {
        for (const std::uint32_t rows : {1u, 2u, 3u, 8u, 11u, 33u}) {
          const Bytes weights = values_.Weights(type, outputs, columns);
          const auto x = values_.Activations(std::size_t{rows} * columns);
          ASSERT_EQ(BitsOf(Multiply(*kernels_, type, outputs, columns, weights, x, rows)),
                    BitsOf(Multiply(PlainKernels(), type, outputs, columns, weights, x, rows)))
              << outputs << " outputs, " << columns << " columns, " << rows << " rows";
        }
      }
    }
  }

  // Attention of `positions` rows, each stored before the next is computed.
  std::vector<float> Attend(const KernelSet& kernels, const AttentionShape& shape,
                            std::uint32_t positions, const std::vector<float>& q,
                            const std::vector<float>& k, const std::vector<float>& v,
                            const std::vector<std::uint32_t>& pages) {
    CpuKvCache cache(
        budget_, {static_cast<std::uint32_t>(pages.size()), shape.kv_head_count, shape.head_size});
    const KvCacheView view = cache.View();
    const std::uint32_t heads_per_kv = shape.head_count / shape.kv_head_count;
    std::vector<float> out(q.size());
    for (std::uint32_t p = 0; p < positions; ++p) {
      for (std::uint32_t kv = 0; kv < shape.kv_head_count; ++kv) {
        const std::size_t at = (std::size_t{p} * shape.kv_head_count + kv) * shape.head_size;
        kernels.store_kv(&k[at], &v[at], view, view.At(pages[p / kPagePositions], kv),
                         p % kPagePositions);
        kernels.attention(&q[at * heads_per_kv], view, kv, heads_per_kv, pages.data(), p,
                          &out[at * heads_per_kv]);
      }
    }
    return out;
  }

  const KernelSet* kernels_ = nullptr;
  RandomValues values_{13};
  MemoryBudget budget_{std::uint64_t{1} << 30};
};

TEST_P(CpuKernels, MultiplyQ8WeightsAsPlainCodeDoes) {
  CompareProducts(WeightType::kQ8_0, {32, 256, 288, 544});
}
TEST_P(CpuKernels, MultiplyF16WeightsAsPlainCodeDoes) {
  CompareProducts(WeightType::kF16, {1, 32, 257, 288});
}
TEST_P(CpuKernels, MultiplyF32WeightsAsPlainCodeDoes) {
  CompareProducts(WeightType::kF32, {1, 32, 257, 288});
}

TEST_P(CpuKernels, QuantiseAsPlainCodeDoes) {
  const auto x = values_.Activations(32 * 3000);
  std::vector<std::int8_t> quants(x.size()), plain_quants(x.size());
  std::vector<float> scales(x.size() / 32), plain_scales(scales);
  std::vector<std::int32_t> sums(scales.size()), plain_sums(sums);
  kernels_->quantise(x.data(), static_cast<std::uint32_t>(x.size()), quants.data(), scales.data(),
                     sums.data());
  PlainKernels().quantise(x.data(), static_cast<std::uint32_t>(x.size()), plain_quants.data(),
                          plain_scales.data(), plain_sums.data());
  EXPECT_EQ(quants, plain_quants);
  EXPECT_EQ(BitsOf(scales), BitsOf(plain_scales));
  EXPECT_EQ(sums, plain_sums);
}

TEST_P(CpuKernels, NormaliseAsPlainCodeDoes) {
  for (const std::uint32_t count : {1u, 31u, 32u, 33u, 255u, 256u, 257u, 600u, 2048u}) {
    const auto x = values_.Activations(count);
    const auto weight = values_.Activations(count);
    std::vector<float> out(count), plain_out(count);
    kernels_->rms_norm(x.data(), weight.data(), count, 1e-5f, out.data());
    PlainKernels().rms_norm(x.data(), weight.data(), count, 1e-5f, plain_out.data());
    ASSERT_EQ(BitsOf(out), BitsOf(plain_out)) << count;
  }
}

TEST_P(CpuKernels, RotateAddAndGateAsPlainCodeDoes) {
  for (const std::uint32_t head_size : {2u, 6u, 32u, 80u}) {
    auto x = values_.Activations(3 * head_size);
    auto plain_x = x;
    const auto table = values_.Activations(head_size);
    kernels_->rope(x.data(), table.data(), head_size, 3);
    PlainKernels().rope(plain_x.data(), table.data(), head_size, 3);
    ASSERT_EQ(BitsOf(x), BitsOf(plain_x)) << head_size;
  }
  for (const std::size_t count : {1, 7, 16, 33, 100'000}) {
    auto x = values_.Activations(count);
    auto plain_x = x;
    const auto y = values_.Activations(count);
    kernels_->add(x.data(), y.data(), count);
    PlainKernels().add(plain_x.data(), y.data(), count);
    ASSERT_EQ(BitsOf(x), BitsOf(plain_x)) << count;
    kernels_->silu_mul(x.data(), y.data(), count);
    PlainKernels().silu_mul(plain_x.data(), y.data(), count);
    ASSERT_EQ(BitsOf(x), BitsOf(plain_x)) << count;
  }
}

// Every position up to beyond two chunk borders, heads that are no multiple of a block, groups of 1
// to 7 query heads.
TEST_P(CpuKernels, AttendAsPlainCodeDoes) {
  for (const AttentionShape shape :
       {AttentionShape{2, 2, 32}, AttentionShape{7, 1, 24}, AttentionShape{4, 2, 72}}) {
    constexpr std::uint32_t kPositions = 530;
    const auto q =
        values_.Activations(std::size_t{kPositions} * shape.head_count * shape.head_size);
    const auto k =
        values_.Activations(std::size_t{kPositions} * shape.kv_head_count * shape.head_size);
    const auto v = values_.Activations(k.size());
    const std::vector<std::uint32_t> pages = {2, 0, 1};
    ASSERT_EQ(BitsOf(Attend(*kernels_, shape, kPositions, q, k, v, pages)),
              BitsOf(Attend(PlainKernels(), shape, kPositions, q, k, v, pages)))
        << shape.head_count << " heads of " << shape.head_size;
  }
}

// A key that overflowed has a score that is no number. It weighs nothing, wherever in a chunk it
// is.
TEST_P(CpuKernels, AttendPastKeysThatOverflowedAsPlainCodeDoes) {
  constexpr AttentionShape kShape{4, 1, 32};
  constexpr std::uint32_t kPositions = 300;
  const auto q = values_.Activations(kPositions * kShape.head_count * kShape.head_size);
  auto k = values_.Activations(kPositions * kShape.head_size);
  const auto v = values_.Activations(k.size());
  for (const std::uint32_t position : {3u, 255u, 256u, 270u})
    k[position * kShape.head_size] = 1e38f;
  const std::vector<std::uint32_t> pages = {1, 0};
  const auto plain = Attend(PlainKernels(), kShape, kPositions, q, k, v, pages);
  EXPECT_TRUE(std::ranges::all_of(plain, [](float x) { return std::isfinite(x); }));
  EXPECT_EQ(BitsOf(Attend(*kernels_, kShape, kPositions, q, k, v, pages)), BitsOf(plain));
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuKernels, ::testing::Values("AVX2", "AVX-512"),
                         [](const auto& set) {
                           return std::string(set.param) == "AVX2" ? "Avx2" : "Avx512";
                         });

}  // namespace
}  // namespace fallow::engine
