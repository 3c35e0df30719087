// Every vectorised kernel against plain C++, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

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
    CpuTensor input(budget_, rows, columns, {});
    std::ranges::copy(x, input.values.data());
    const RowsView view = input.View();
    if (FormatOf(type).activations() == ActivationForm::kInt8Per32)
      kernels.quantise_per_32(view.values, rows * columns, input.per_32.data());
    if (FormatOf(type).activations() == ActivationForm::kInt8Per256)
      kernels.quantise_per_256(view.values, rows * columns, input.per_256.data());
    std::vector<float> out(std::size_t{rows} * outputs + 1, kUntouched);
    kernels.matmul(matrix.View(), view, {0, rows}, {0, (outputs + kRowGroup - 1) / kRowGroup},
                   out.data());
    EXPECT_EQ(out.back(), kUntouched);
    return out;
  }

  void CompareProducts(WeightType type, std::uint32_t columns) {
    for (const std::uint32_t outputs : {1u, 15u, 16u, 17u, 50u}) {
      for (const std::uint32_t rows : {1u, 2u, 3u, 8u, 11u, 33u}) {
        const Bytes weights = values_.Weights(type, outputs, columns);
        const auto x = values_.Activations(std::size_t{rows} * columns);
        ASSERT_EQ(BitsOf(Multiply(*kernels_, type, outputs, columns, weights, x, rows)),
                  BitsOf(Multiply(PlainKernels(), type, outputs, columns, weights, x, rows)))
            << WeightTypeName(type) << ", " << outputs << " outputs, " << columns << " columns, "
            << rows << " rows";
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
        const bool sees_all = shape.window == 0 || p < shape.window;
        const AttentionTask task{.cache = view,
                                 .kv_head = kv,
                                 .head_count = heads_per_kv,
                                 .factor = 0.2f,
                                 .cap = {shape.softcap, 1.0f / shape.softcap},
                                 .pages = pages.data(),
                                 .first = sees_all ? 0 : p - shape.window + 1,
                                 .last = p};
        kernels.attention(&q[at * heads_per_kv], task, &out[at * heads_per_kv]);
      }
    }
    return out;
  }

  const KernelSet* kernels_ = nullptr;
  RandomValues values_{13};
  MemoryBudget budget_{std::uint64_t{1} << 30};
};

TEST_P(CpuKernels, MultiplyIntegerWeightsAsPlainCodeDoes) {
  for (const WeightFormat& format : AllWeightFormats()) {
    if (!format.is_integer()) continue;
    const bool small_blocks = format.block_values == 32;
    for (const std::uint32_t blocks :
         small_blocks ? std::vector{1u, 8u, 9u, 17u} : std::vector{1u, 2u, 5u}) {
      CompareProducts(format.type, blocks * format.block_values);
    }
  }
}

TEST_P(CpuKernels, MultiplyFloatWeightsAsPlainCodeDoes) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16}) {
    for (const std::uint32_t columns : {1u, 32u, 257u, 288u}) CompareProducts(type, columns);
  }
}

// The largest sums there can be: every integer, sub-scale and value at its limit, all of one sign.
TEST_P(CpuKernels, MultiplyIntegersAtTheirLimitsAsPlainCodeDoes) {
  constexpr std::uint32_t kColumns = 1024, kOutputs = 16;
  for (const WeightFormat& format : AllWeightFormats()) {
    if (!format.is_integer()) continue;
    for (const std::uint8_t filling : {0x00, 0x7F, 0x80, 0xFF}) {
      Bytes weights(kOutputs * WeightRowBytes(format.type, kColumns), filling);
      for (std::size_t i = 0; i < weights.size(); i += format.block_bytes) {
        std::uint8_t* halves = &weights[i + ScaleOffset(format)];
        std::memset(halves, 0x3C, format.has_minimum ? 4 : 2);
      }
      for (const float value : {1.0f, -1.0f}) {
        const std::vector<float> x(9 * kColumns, value);
        ASSERT_EQ(BitsOf(Multiply(*kernels_, format.type, kOutputs, kColumns, weights, x, 9)),
                  BitsOf(Multiply(PlainKernels(), format.type, kOutputs, kColumns, weights, x, 9)))
            << format.name << ", " << int{filling} << ", " << value;
      }
    }
  }
}

TEST_P(CpuKernels, QuantiseAsPlainCodeDoes) {
  constexpr std::uint32_t kRows = 300, kColumns = 512;
  const auto x = values_.Activations(kRows * kColumns);
  CpuTensor tensor(budget_, kRows, kColumns, {});
  CpuTensor plain(budget_, kRows, kColumns, {});
  kernels_->quantise_per_32(x.data(), kRows * kColumns, tensor.per_32.data());
  kernels_->quantise_per_256(x.data(), kRows * kColumns, tensor.per_256.data());
  PlainKernels().quantise_per_32(x.data(), kRows * kColumns, plain.per_32.data());
  PlainKernels().quantise_per_256(x.data(), kRows * kColumns, plain.per_256.data());
  const auto same = [](const auto& a, const auto& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
  };
  EXPECT_TRUE(same(tensor.per_32, plain.per_32));
  EXPECT_TRUE(same(tensor.per_256, plain.per_256));
}

TEST_P(CpuKernels, NormaliseAsPlainCodeDoes) {
  for (const std::uint32_t count : {1u, 31u, 32u, 33u, 255u, 256u, 257u, 600u, 2048u}) {
    auto x = values_.Activations(count);
    const auto weight = values_.Activations(count);
    const auto bias = values_.Activations(count);
    std::vector<float> out(count), plain_out(count);
    kernels_->layer_norm(x.data(), weight.data(), bias.data(), count, 1e-5f, out.data());
    PlainKernels().layer_norm(x.data(), weight.data(), bias.data(), count, 1e-5f, plain_out.data());
    ASSERT_EQ(BitsOf(out), BitsOf(plain_out)) << count;
    kernels_->rms_norm(x.data(), weight.data(), count, 1e-5f, out.data());
    PlainKernels().rms_norm(x.data(), weight.data(), count, 1e-5f, plain_out.data());
    ASSERT_EQ(BitsOf(out), BitsOf(plain_out)) << count;
    kernels_->rms_norm(x.data(), weight.data(), count, 1e-5f, x.data());
    ASSERT_EQ(BitsOf(x), BitsOf(plain_out)) << count << ", in place";
  }
}

TEST_P(CpuKernels, RotateAsPlainCodeDoes) {
  for (const RotaryPairs pairs : {RotaryPairs::kNeighbours, RotaryPairs::kHalves}) {
    for (const auto& [head_size, rotary_size] :
         {std::pair{2u, 2u}, {6u, 6u}, {32u, 32u}, {80u, 80u}, {96u, 72u}, {33u, 18u}}) {
      auto x = values_.Activations(3 * head_size);
      auto plain_x = x;
      const auto table = values_.Activations(rotary_size);
      kernels_->rope(x.data(), table.data(), {head_size, rotary_size, pairs}, 3);
      PlainKernels().rope(plain_x.data(), table.data(), {head_size, rotary_size, pairs}, 3);
      ASSERT_EQ(BitsOf(x), BitsOf(plain_x)) << head_size << ", " << rotary_size;
    }
  }
}

TEST_P(CpuKernels, WorkOnElementsAsPlainCodeDoes) {
  using Work = void (*)(const KernelSet&, std::vector<float>&, const std::vector<float>&);
  constexpr Work kWorks[] = {
      [](const KernelSet& k, auto& x, const auto& y) { k.add(x.data(), y.data(), x.size()); },
      [](const KernelSet& k, auto& x, const auto& y) { k.scale(x.data(), y[0], x.size()); },
      [](const KernelSet& k, auto& x, const auto& y) { k.silu_mul(x.data(), y.data(), x.size()); },
      [](const KernelSet& k, auto& x, const auto& y) { k.gelu_mul(x.data(), y.data(), x.size()); },
      [](const KernelSet& k, auto& x, const auto&) { k.gelu_erf(x.data(), x.size()); },
      [](const KernelSet& k, auto& x, const auto&) {
        k.softcap(x.data(), {30.0f, 1.0f / 30.0f}, x.size());
      },
  };
  for (std::size_t work = 0; work < std::size(kWorks); ++work) {
    for (const std::size_t count : {1, 7, 16, 33, 100'000}) {
      auto x = values_.Activations(count);
      auto plain_x = x;
      const auto y = values_.Activations(count);
      kWorks[work](*kernels_, x, y);
      kWorks[work](PlainKernels(), plain_x, y);
      ASSERT_EQ(BitsOf(x), BitsOf(plain_x)) << "work " << work << " on " << count;
    }
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

// Windows that begin anywhere in a chunk, and scores that are capped.
TEST_P(CpuKernels, AttendWithinWindowsAsPlainCodeDoes) {
  constexpr std::uint32_t kPositions = 530;
  for (const std::uint32_t window : {0u, 1u, 2u, 40u, 256u, 300u}) {
    const AttentionShape shape{5, 1, 40, 0, window, window % 2 == 0 ? 2.0f : 0.0f};
    const auto q = values_.Activations(kPositions * shape.head_count * shape.head_size);
    const auto k = values_.Activations(kPositions * shape.head_size);
    const auto v = values_.Activations(k.size());
    const std::vector<std::uint32_t> pages = {2, 0, 1};
    ASSERT_EQ(BitsOf(Attend(*kernels_, shape, kPositions, q, k, v, pages)),
              BitsOf(Attend(PlainKernels(), shape, kPositions, q, k, v, pages)))
        << window;
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
