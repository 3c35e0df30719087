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

// kValues values as int8 with their scale.
template <std::uint32_t kValues>
FALLOW_BODY void QuantiseBlock(const float* x, std::int8_t* quants, float* scale) {
  std::uint32_t amax_bits = 0;
  for (std::uint32_t i = 0; i < kValues; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu;
    amax_bits = bits > amax_bits ? bits : amax_bits;
  }
  *scale = ExactScale(amax_bits);
  const float inverse = ExactInverse(*scale);
  // Of a block whose inverse is 0 the values need not be finite.
  if (inverse == 0.0f) {
    for (std::uint32_t i = 0; i < kValues; ++i) quants[i] = 0;
  } else {
    for (std::uint32_t i = 0; i < kValues; ++i)
      quants[i] = static_cast<std::int8_t>(ExactRint(x[i] * inverse));
  }
}

template <std::uint32_t kValues>
FALLOW_BODY std::int32_t Sum(const std::int8_t* x) {
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; i < kValues; ++i) sum += x[i];
  return sum;
}

FALLOW_BODY void Quantise(const float* x, std::uint32_t count, Int8Block32* out) {
  for (std::uint32_t first = 0; first < count; first += 32, ++out) {
    QuantiseBlock<32>(x + first, out->quants, &out->scale);
    out->sum = Sum<32>(out->quants);
  }
}

FALLOW_BODY void Quantise(const float* x, std::uint32_t count, Int8Block256* out) {
  for (std::uint32_t first = 0; first < count; first += 256, ++out) {
    QuantiseBlock<256>(x + first, out->quants, &out->scale);
    for (std::uint32_t s = 0; s < 16; ++s)
      out->sums[s] = static_cast<std::int16_t>(Sum<16>(out->quants + s * 16));
  }
}

// A head's values times `factor`, padded with zeros, as int8 blocks.
FALLOW_BODY void QuantiseHead(const float* x, std::uint32_t head_size, float factor,
                              std::uint32_t block_count, Int8Block32* out) {
  alignas(64) float padded[kMaxHeadSize];
  for (std::uint32_t i = 0; i < head_size; ++i) padded[i] = x[i] * factor;
  for (std::uint32_t i = head_size; i < block_count * kQuantBlock; ++i) padded[i] = 0.0f;
  Quantise(padded, block_count * kQuantBlock, out);
}

FALLOW_BODY float Halve(float* partial) {
  for (std::uint32_t half = 16; half > 0; half /= 2) {
    for (std::uint32_t i = 0; i < half; ++i) partial[i] = partial[i] + partial[i + half];
  }
  return partial[0];
}

// The contract's vector sum of value_at(x[i]) over one chunk.
template <class ValueOf>
FALLOW_BODY float ChunkSum(const float* x, std::uint32_t count, ValueOf value_of) {
  alignas(64) float partial[32] = {};
  std::uint32_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (std::uint32_t lane = 0; lane < 32; ++lane)
      partial[lane] = partial[lane] + value_of(x[i + lane]);
  }
  for (std::uint32_t lane = 0; i + lane < count; ++lane)
    partial[lane] = partial[lane] + value_of(x[i + lane]);
  return Halve(partial);
}

// Over all chunks of a row.
template <class ValueOf>
FALLOW_BODY float VectorSum(const float* x, std::uint32_t count, ValueOf value_of) {
  float sum = 0;
  for (std::uint32_t first = 0; first < count; first += kChunk) {
    sum = sum + ChunkSum(x + first, std::min(kChunk, count - first), value_of);
  }
  return sum;
}

FALLOW_BODY void RmsNorm(const float* x, const float* weight, std::uint32_t count, float epsilon,
                         float* out) {
  const float squares = VectorSum(x, count, [](float value) { return value * value; });
  const float inverse_count = ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count)));
  const float factor = ExactRsqrt(squares * inverse_count + epsilon);
#pragma GCC ivdep  // out may be x itself, but no other part of it
  for (std::uint32_t i = 0; i < count; ++i) out[i] = ExactSnap((x[i] * factor) * weight[i]);
}

FALLOW_BODY void LayerNorm(const float* x, const float* weight, const float* bias,
                           std::uint32_t count, float epsilon, float* out) {
  const float inverse_count = ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count)));
  const float mean =
      ExactSnap(VectorSum(x, count, [](float value) { return value; }) * inverse_count);
  const float squares =
      VectorSum(x, count, [mean](float value) { return (value - mean) * (value - mean); });
  const float factor = ExactRsqrt(squares * inverse_count + epsilon);
  for (std::uint32_t i = 0; i < count; ++i) {
    out[i] = ExactSnap(((x[i] - mean) * factor) * weight[i] + bias[i]);
  }
}

// x - y as x plus the negated bits of y. Where a sum and a difference of products stand side by
// side, GCC 12 makes them one fused instruction, whatever -ffp-contract says.
FALLOW_BODY float Difference(float x, float y) {
  return x + std::bit_cast<float>(std::bit_cast<std::uint32_t>(y) ^ 0x80000000u);
}

FALLOW_BODY void RotatePair(float& first, float& second, float cosine, float sine) {
  const float a = first;
  const float b = second;
  first = ExactSnap(Difference(a * cosine, b * sine));
  second = ExactSnap(a * sine + b * cosine);
}

FALLOW_BODY void Rope(float* x, const float* table, const RotaryShape& shape,
                      std::uint32_t head_count) {
  const std::uint32_t pair_count = shape.rotary_size / 2;
  for (std::uint32_t head = 0; head < head_count; ++head) {
    float* values = x + std::size_t{head} * shape.head_size;
    if (shape.pairs == RotaryPairs::kNeighbours) {
#pragma GCC ivdep
      for (std::uint32_t i = 0; i < pair_count; ++i) {
        RotatePair(values[2 * i], values[2 * i + 1], table[2 * i], table[2 * i + 1]);
      }
    } else {
#pragma GCC ivdep  // the halves are apart
      for (std::uint32_t i = 0; i < pair_count; ++i) {
        RotatePair(values[i], values[i + pair_count], table[2 * i], table[2 * i + 1]);
      }
    }
  }
}

FALLOW_BODY void Add(float* x, const float* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(x[i] + y[i]);
}

FALLOW_BODY void Scale(float* x, float factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(x[i] * factor);
}

FALLOW_BODY void SiluMul(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = ExactSnap(ExactSilu(gate[i]) * up[i]);
}

FALLOW_BODY void GeluMul(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = ExactSnap(ExactGelu(gate[i]) * up[i]);
}

FALLOW_BODY void GeluErf(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(ExactGeluErf(x[i]));
}

FALLOW_BODY void Softcap(float* x, ScoreCap cap, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = ExactSnap(ExactSoftcap(x[i], cap.cap, cap.inverse));
  }
}

// Scores are not stored values: nothing snaps them.
FALLOW_BODY void CapScores(float* scores, ScoreCap cap, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    scores[i] = ExactSoftcap(scores[i], cap.cap, cap.inverse);
  }
}

FALLOW_BODY void SoftmaxWeights(float* scores, float maximum, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) scores[i] = ExactSoftmaxWeight(scores[i] - maximum);
}

}  // namespace fallow::engine::row
