// The parts of the plain kernels, which are the reference that every other kernel must equal: the
// contract as C++ says it most plainly. PlainKernels() puts them together.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/cpu/kernel_set.h"

namespace fallow::engine::plain {

// `block_values` values as int8, which share `*scale`.
void QuantiseBlock(const float* x, std::uint32_t block_values, std::int8_t* quants, float* scale);
std::int32_t Sum(const std::int8_t* x, std::uint32_t count);

// The contract's vector sum: in each chunk 32 strided partial sums, halved 16, 8, 4, 2, 1; then
// chunk by chunk. Of value_at(i) for i in [begin, end).
template <class ValueAt>
float VectorSum(std::uint32_t begin, std::uint32_t end, ValueAt value_at) {
  float sum = 0;
  for (std::uint32_t first = begin / kChunk * kChunk; first < end; first += kChunk) {
    std::array<float, 32> partial{};
    for (std::uint32_t i = std::max(begin, first); i < std::min(end, first + kChunk); ++i) {
      partial[i % 32] = partial[i % 32] + value_at(i);
    }
    for (std::uint32_t half = 16; half > 0; half /= 2) {
      for (std::uint32_t i = 0; i < half; ++i) partial[i] = partial[i] + partial[i + half];
    }
    sum = sum + partial[0];
  }
  return sum;
}

// As KernelSet has them.
void MatMul(const WeightsView& weights, const RowsView& x, Range rows, Range groups, float* out);
void StoreKv(const float* key, const float* value, const KvCacheView& cache, const KvView& page,
             std::uint32_t place);
void Attention(const float* q, const AttentionTask& task, float* out);

}  // namespace fallow::engine::plain
