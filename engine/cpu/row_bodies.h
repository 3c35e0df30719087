// Operators on one row, written so that a compiler vectorises them for whatever processor the
// caller is compiled for.
//
// Invariant: the same operations on each value as in plain_kernels.cc, so the same bits; only their
// interleaving differs. Everything is inlined into its caller and takes that caller's target.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/cpu/kernel_set.h"
#include "engine/exact.h"

namespace fallow::engine::row {

#define FALLOW_BODY [[gnu::always_inline]] inline

// One block of 32 as int8 with its scale and sum.
FALLOW_BODY void QuantiseBlock(const float* x, std::int8_t* quants, float* scale,
                               std::int32_t* sum) {
  std::uint32_t amax_bits = 0;
  for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu;
    amax_bits = bits > amax_bits ? bits : amax_bits;
  }
  *scale = ExactScale(amax_bits);
  const float inverse = ExactInverse(*scale);
  std::int32_t total = 0;
  if (inverse == 0.0f) {
    for (std::uint32_t i = 0; i < kQuantBlock; ++i) quants[i] = 0;
  } else {
    for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
      const std::int32_t quant = ExactRint(x[i] * inverse);
      quants[i] = static_cast<std::int8_t>(quant);
      total += quant;
    }
  }
  *sum = total;
}

FALLOW_BODY void Quantise(const float* x, std::uint32_t count, std::int8_t* quants, float* scales,
                          std::int32_t* sums) {
  for (std::uint32_t block = 0; block < count / kQuantBlock; ++block) {
    QuantiseBlock(x + block * kQuantBlock, quants + block * kQuantBlock, scales + block,
                  sums + block);
  }
}

// A head's values times `factor`, padded with zeros, as int8 blocks.
FALLOW_BODY void QuantiseHead(const float* x, std::uint32_t head_size, float factor,
                              std::uint32_t block_count, std::int8_t* quants, float* scales,
                              std::int32_t* sums) {
  alignas(64) float padded[kMaxHeadSize];
  for (std::uint32_t i = 0; i < head_size; ++i) padded[i] = x[i] * factor;
  for (std::uint32_t i = head_size; i < block_count * kQuantBlock; ++i) padded[i] = 0.0f;
  Quantise(padded, block_count * kQuantBlock, quants, scales, sums);
}

FALLOW_BODY float Halve(float* partial) {
  for (std::uint32_t half = 16; half > 0; half /= 2) {
    for (std::uint32_t i = 0; i < half; ++i) partial[i] = partial[i] + partial[i + half];
  }
  return partial[0];
}

// The contract's vector sum of one chunk.
FALLOW_BODY float ChunkSum(const float* x, std::uint32_t count) {
  alignas(64) float partial[32] = {};
  std::uint32_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (std::uint32_t lane = 0; lane < 32; ++lane) partial[lane] = partial[lane] + x[i + lane];
  }
  for (std::uint32_t lane = 0; i + lane < count; ++lane)
    partial[lane] = partial[lane] + x[i + lane];
  return Halve(partial);
}

FALLOW_BODY float ChunkSumOfSquares(const float* x, std::uint32_t count) {
  alignas(64) float partial[32] = {};
  std::uint32_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (std::uint32_t lane = 0; lane < 32; ++lane)
      partial[lane] = partial[lane] + x[i + lane] * x[i + lane];
  }
  for (std::uint32_t lane = 0; i + lane < count; ++lane) {
    partial[lane] = partial[lane] + x[i + lane] * x[i + lane];
  }
  return Halve(partial);
}

FALLOW_BODY void RmsNorm(const float* x, const float* weight, std::uint32_t count, float epsilon,
                         float* out) {
  float squares = 0;
  for (std::uint32_t first = 0; first < count; first += kChunk) {
    squares = squares + ChunkSumOfSquares(x + first, std::min(kChunk, count - first));
  }
  const float inverse_count = ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count)));
  const float factor = ExactRsqrt(squares * inverse_count + epsilon);
  for (std::uint32_t i = 0; i < count; ++i) out[i] = ExactSnap((x[i] * factor) * weight[i]);
}

FALLOW_BODY void Rope(float* x, const float* table, std::uint32_t head_size,
                      std::uint32_t head_count) {
  for (std::uint32_t head = 0; head < head_count; ++head) {
    float* values = x + std::size_t{head} * head_size;
    for (std::uint32_t i = 0; i < head_size; i += 2) {
      const float a = values[i];
      const float b = values[i + 1];
      values[i] = ExactSnap(a * table[i] - b * table[i + 1]);
      values[i + 1] = ExactSnap(a * table[i + 1] + b * table[i]);
    }
  }
}

FALLOW_BODY void Add(float* x, const float* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(x[i] + y[i]);
}

FALLOW_BODY void SiluMul(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = ExactSnap(ExactSilu(gate[i]) * up[i]);
}

FALLOW_BODY void SoftmaxWeights(float* scores, float maximum, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) scores[i] = ExactSoftmaxWeight(scores[i] - maximum);
}

}  // namespace fallow::engine::row
