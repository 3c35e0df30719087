// The contract as C++ says it most plainly: the reference that every other kernel must equal.
#include <algorithm>
#include <array>

#include "engine/cpu/kernel_set.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

void QuantiseBlock(const float* x, std::int8_t* quants, float* scale) {
  std::uint32_t amax_bits = 0;
  for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
    amax_bits = std::max(amax_bits, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
  }
  *scale = ExactScale(amax_bits);
  const float inverse = ExactInverse(*scale);
  for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
    quants[i] = static_cast<std::int8_t>(ExactQuant(x[i], inverse));
  }
}

void Quantise(const float* x, std::uint32_t count, std::int8_t* quants, float* scales,
              std::int32_t* sums) {
  for (std::uint32_t block = 0; block < count / kQuantBlock; ++block) {
    std::int8_t* block_quants = quants + block * kQuantBlock;
    QuantiseBlock(x + block * kQuantBlock, block_quants, scales + block);
    sums[block] = 0;
    for (std::uint32_t i = 0; i < kQuantBlock; ++i) sums[block] += block_quants[i];
  }
}

std::int32_t Dot(const std::int8_t* a, const std::int8_t* b) {
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; i < kQuantBlock; ++i) sum += std::int32_t{a[i]} * b[i];
  return sum;
}

float ProductQ8(const WeightsView& weights, std::uint32_t n, const RowsView& x, std::uint32_t r) {
  const std::uint32_t block_count = weights.columns / kQuantBlock;
  constexpr std::uint32_t kChunkBlocks = kChunk / kQuantBlock;
  const auto* w =
      static_cast<const std::int8_t*>(weights.values) + std::size_t{n} * weights.columns;
  const float* w_scales = weights.scales + std::size_t{n} * block_count;
  const std::int8_t* x_quants = x.quants + std::size_t{r} * weights.columns;
  const float* x_scales = x.scales + std::size_t{r} * block_count;
  float sum = 0;
  for (std::uint32_t first = 0; first < block_count; first += kChunkBlocks) {
    float chunk = 0;
    for (std::uint32_t b = first; b < std::min(block_count, first + kChunkBlocks); ++b) {
      const std::int32_t dot = Dot(w + b * kQuantBlock, x_quants + b * kQuantBlock);
      chunk = chunk + (ExactFloat(dot) * w_scales[b]) * x_scales[b];
    }
    sum = sum + chunk;
  }
  return sum;
}

template <class WeightAt>
float ProductFloat(std::uint32_t columns, const float* x, WeightAt weight_at) {
  float sum = 0;
  for (std::uint32_t first = 0; first < columns; first += kChunk) {
    float chunk = 0;
    for (std::uint32_t k = first; k < std::min(columns, first + kChunk); ++k) {
      chunk = chunk + weight_at(k) * x[k];
    }
    sum = sum + chunk;
  }
  return sum;
}

float Product(const WeightsView& weights, std::uint32_t n, const RowsView& x, std::uint32_t r) {
  const std::size_t first = std::size_t{n} * weights.columns;
  const float* x_row = x.values + std::size_t{r} * weights.columns;
  switch (weights.type) {
    default:
    case WeightType::kQ8_0:
      return ProductQ8(weights, n, x, r);
    case WeightType::kF16: {
      const auto* w = static_cast<const std::uint16_t*>(weights.values) + first;
      return ProductFloat(weights.columns, x_row, [w](std::uint32_t k) { return ExactHalf(w[k]); });
    }
    case WeightType::kF32:
      break;
  }
  const auto* w = static_cast<const float*>(weights.values) + first;
  return ProductFloat(weights.columns, x_row, [w](std::uint32_t k) { return w[k]; });
}

void MatMul(const WeightsView& weights, const RowsView& x, Range rows, Range groups, float* out) {
  const std::uint32_t end = std::min(weights.rows, groups.end * kRowGroup);
  for (std::uint32_t r = rows.begin; r < rows.end; ++r) {
    for (std::uint32_t n = groups.begin * kRowGroup; n < end; ++n) {
      out[std::size_t{r} * weights.rows + n] = ExactSnap(Product(weights, n, x, r));
    }
  }
}

// The contract's vector sum: in each chunk 32 strided partial sums, halved 16, 8, 4, 2, 1; then
// chunk by chunk.
template <class ValueAt>
float VectorSum(std::uint32_t count, ValueAt value_at) {
  float sum = 0;
  for (std::uint32_t first = 0; first < count; first += kChunk) {
    std::array<float, 32> partial{};
    for (std::uint32_t i = first; i < std::min(count, first + kChunk); ++i) {
      partial[i % 32] = partial[i % 32] + value_at(i);
    }
    for (std::uint32_t half = 16; half > 0; half /= 2) {
      for (std::uint32_t i = 0; i < half; ++i) partial[i] = partial[i] + partial[i + half];
    }
    sum = sum + partial[0];
  }
  return sum;
}

void RmsNorm(const float* x, const float* weight, std::uint32_t count, float epsilon, float* out) {
  const float squares = VectorSum(count, [x](std::uint32_t i) { return x[i] * x[i]; });
  const float inverse_count = ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count)));
  const float factor = ExactRsqrt(squares * inverse_count + epsilon);
  for (std::uint32_t i = 0; i < count; ++i) out[i] = ExactSnap((x[i] * factor) * weight[i]);
}

void Rope(float* x, const float* table, std::uint32_t head_size, std::uint32_t head_count) {
  for (std::uint32_t head = 0; head < head_count; ++head, x += head_size) {
    for (std::uint32_t i = 0; i < head_size; i += 2) {
      const float cosine = table[i];
      const float sine = table[i + 1];
      const float a = x[i];
      const float b = x[i + 1];
      x[i] = ExactSnap(a * cosine - b * sine);
      x[i + 1] = ExactSnap(a * sine + b * cosine);
    }
  }
}

// A head's values times `factor`, padded with zeros, as int8 blocks.
void QuantiseHead(const float* x, std::uint32_t head_size, float factor, std::uint32_t block_count,
                  std::int8_t* quants, float* scales) {
  for (std::uint32_t block = 0; block < block_count; ++block) {
    std::array<float, kQuantBlock> padded{};
    for (std::uint32_t i = 0; i < std::min(kQuantBlock, head_size - block * kQuantBlock); ++i) {
      padded[i] = x[block * kQuantBlock + i] * factor;
    }
    QuantiseBlock(padded.data(), quants + block * kQuantBlock, scales + block);
  }
}

void StoreKv(const float* key, const float* value, const KvCacheView& cache, const KvView& page,
             std::uint32_t place) {
  const std::size_t first = std::size_t{place} * cache.padded_head_size();
  const std::size_t first_scale = std::size_t{place} * cache.block_count;
  QuantiseHead(key, cache.head_size, 1.0f, cache.block_count, page.keys + first,
               page.key_scales + first_scale);
  QuantiseHead(value, cache.head_size, 1.0f, cache.block_count, page.values + first,
               page.value_scales + first_scale);
}

// The softmax of one head over the keys of one chunk: their maximum, the sum of their weights, the
// weighted values.
struct AttentionPart {
  float maximum = 0;
  float weight_sum = 0;
  std::array<float, kMaxHeadSize> values{};
};

AttentionPart AttendChunk(const std::int8_t* q, const float* q_scales, const KvCacheView& cache,
                          const KvView& page, std::uint32_t count) {
  AttentionPart part;
  part.maximum = kLowestScore;
  std::array<float, kChunk> weights;
  for (std::uint32_t j = 0; j < count; ++j) {
    float score = 0;
    for (std::uint32_t b = 0; b < cache.block_count; ++b) {
      const std::int32_t dot =
          Dot(q + b * kQuantBlock, page.keys + (j * cache.block_count + b) * kQuantBlock);
      score = score + (ExactFloat(dot) * page.key_scales[j * cache.block_count + b]) * q_scales[b];
    }
    weights[j] = score;
    part.maximum = score > part.maximum ? score : part.maximum;
  }
  for (std::uint32_t j = 0; j < count; ++j)
    weights[j] = ExactSoftmaxWeight(weights[j] - part.maximum);
  part.weight_sum = VectorSum(count, [&](std::uint32_t j) { return weights[j]; });
  for (std::uint32_t d = 0; d < cache.head_size; ++d) {
    float sum = 0;
    for (std::uint32_t j = 0; j < count; ++j) {
      const float scale = page.value_scales[j * cache.block_count + d / kQuantBlock];
      sum = sum + (weights[j] * scale) * ExactFloat(page.values[j * cache.padded_head_size() + d]);
    }
    part.values[d] = sum;
  }
  return part;
}

void Join(AttentionPart& all, const AttentionPart& part, std::uint32_t head_size) {
  const float maximum = part.maximum > all.maximum ? part.maximum : all.maximum;
  const float all_weight = ExactSoftmaxWeight(all.maximum - maximum);
  const float part_weight = ExactSoftmaxWeight(part.maximum - maximum);
  all.maximum = maximum;
  all.weight_sum = ExactJoin(all.weight_sum, all_weight, part.weight_sum, part_weight);
  for (std::uint32_t d = 0; d < head_size; ++d) {
    all.values[d] = ExactJoin(all.values[d], all_weight, part.values[d], part_weight);
  }
}

void AttendHead(const float* q, const KvCacheView& cache, std::uint32_t kv_head,
                const std::uint32_t* pages, std::uint32_t position, float* out) {
  std::array<std::int8_t, kMaxHeadSize> q_quants;
  std::array<float, kMaxHeadSize / kQuantBlock> q_scales;
  const float factor = ExactRsqrt(ExactFloatWide(static_cast<std::int32_t>(cache.head_size)));
  QuantiseHead(q, cache.head_size, factor, cache.block_count, q_quants.data(), q_scales.data());
  AttentionPart all;
  for (std::uint32_t chunk = 0; chunk <= position / kChunk; ++chunk) {
    const std::uint32_t count = std::min(kChunk, position + 1 - chunk * kChunk);
    const AttentionPart part = AttendChunk(q_quants.data(), q_scales.data(), cache,
                                           cache.At(pages[chunk], kv_head), count);
    if (chunk == 0) {
      all = part;
    } else {
      Join(all, part, cache.head_size);
    }
  }
  const float inverse = ExactRcp(all.weight_sum);
  for (std::uint32_t d = 0; d < cache.head_size; ++d) out[d] = ExactSnap(all.values[d] * inverse);
}

void Attention(const float* q, const KvCacheView& cache, std::uint32_t kv_head,
               std::uint32_t head_count, const std::uint32_t* pages, std::uint32_t position,
               float* out) {
  for (std::uint32_t head = 0; head < head_count; ++head) {
    const std::size_t first = std::size_t{head} * cache.head_size;
    AttendHead(q + first, cache, kv_head, pages, position, out + first);
  }
}

void Add(float* x, const float* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(x[i] + y[i]);
}

void SiluMul(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = ExactSnap(ExactSilu(gate[i]) * up[i]);
}

}  // namespace

const KernelSet& PlainKernels() {
  static constexpr KernelSet kSet = {
      .name = "plain C++",
      .weight_layout = WeightLayout::kRows,
      .key_layout = KeyLayout::kRows,
      .quantise = Quantise,
      .matmul = MatMul,
      .rms_norm = RmsNorm,
      .rope = Rope,
      .store_kv = StoreKv,
      .attention = Attention,
      .add = Add,
      .silu_mul = SiluMul,
  };
  return kSet;
}

}  // namespace fallow::engine
