#include "engine/cpu/plain_kernels.h"

#include "engine/exact.h"

namespace fallow::engine {
namespace plain {
namespace {

void QuantisePer32(const float* x, std::uint32_t count, Int8Block32* out) {
  for (std::uint32_t first = 0; first < count; first += 32, ++out) {
    QuantiseBlock(x + first, 32, out->quants, &out->scale);
    out->sum = Sum(out->quants, 32);
  }
}

void QuantisePer256(const float* x, std::uint32_t count, Int8Block256* out) {
  for (std::uint32_t first = 0; first < count; first += 256, ++out) {
    QuantiseBlock(x + first, 256, out->quants, &out->scale);
    for (std::uint32_t s = 0; s < 16; ++s) {
      out->sums[s] = static_cast<std::int16_t>(Sum(out->quants + s * 16, 16));
    }
  }
}

float InverseOf(std::uint32_t count) {
  return ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count)));
}

void RmsNorm(const float* x, const float* weight, std::uint32_t count, float epsilon, float* out) {
  const float squares = VectorSum(0, count, [x](std::uint32_t i) { return x[i] * x[i]; });
  const float factor = ExactRsqrt(squares * InverseOf(count) + epsilon);
  for (std::uint32_t i = 0; i < count; ++i) out[i] = ExactSnap((x[i] * factor) * weight[i]);
}

void LayerNorm(const float* x, const float* weight, const float* bias, std::uint32_t count,
               float epsilon, float* out) {
  const float sum = VectorSum(0, count, [x](std::uint32_t i) { return x[i]; });
  const float mean = ExactSnap(sum * InverseOf(count));
  const float squares = VectorSum(0, count, [x, mean](std::uint32_t i) {
    const float distance = x[i] - mean;
    return distance * distance;
  });
  const float factor = ExactRsqrt(squares * InverseOf(count) + epsilon);
  for (std::uint32_t i = 0; i < count; ++i) {
    out[i] = ExactSnap(((x[i] - mean) * factor) * weight[i] + bias[i]);
  }
}

void Rope(float* x, const float* table, const RotaryShape& shape, std::uint32_t head_count) {
  const bool halves = shape.pairs == RotaryPairs::kHalves;
  const std::uint32_t pair_count = shape.rotary_size / 2;
  for (std::uint32_t head = 0; head < head_count; ++head, x += shape.head_size) {
    for (std::uint32_t i = 0; i < pair_count; ++i) {
      float& first = x[halves ? i : 2 * i];
      float& second = x[halves ? i + pair_count : 2 * i + 1];
      const float cosine = table[2 * i];
      const float sine = table[2 * i + 1];
      const float a = first;
      const float b = second;
      first = ExactSnap(a * cosine - b * sine);
      second = ExactSnap(a * sine + b * cosine);
    }
  }
}

void Add(float* x, const float* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(x[i] + y[i]);
}

void Scale(float* x, float factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(x[i] * factor);
}

void SiluMul(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = ExactSnap(ExactSilu(gate[i]) * up[i]);
}

void GeluMul(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = ExactSnap(ExactGelu(gate[i]) * up[i]);
}

void GeluErf(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = ExactSnap(ExactGeluErf(x[i]));
}

void Softcap(float* x, ScoreCap cap, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = ExactSnap(ExactSoftcap(x[i], cap.cap, cap.inverse));
  }
}

}  // namespace

std::int32_t Sum(const std::int8_t* x, std::uint32_t count) {
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += x[i];
  return sum;
}

void QuantiseBlock(const float* x, std::uint32_t block_values, std::int8_t* quants, float* scale) {
  std::uint32_t amax_bits = 0;
  for (std::uint32_t i = 0; i < block_values; ++i) {
    amax_bits = std::max(amax_bits, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
  }
  *scale = ExactScale(amax_bits);
  const float inverse = ExactInverse(*scale);
  for (std::uint32_t i = 0; i < block_values; ++i) {
    quants[i] = static_cast<std::int8_t>(ExactQuant(x[i], inverse));
  }
}

}  // namespace plain

const KernelSet& PlainKernels() {
  static constexpr KernelSet kSet = {
      .name = "plain C++",
      .weight_layout = WeightLayout::kRows,
      .key_layout = KeyLayout::kRows,
      .quantise_per_32 = plain::QuantisePer32,
      .quantise_per_256 = plain::QuantisePer256,
      .matmul = plain::MatMul,
      .rms_norm = plain::RmsNorm,
      .layer_norm = plain::LayerNorm,
      .rope = plain::Rope,
      .store_kv = plain::StoreKv,
      .attention = plain::Attention,
      .add = plain::Add,
      .scale = plain::Scale,
      .silu_mul = plain::SiluMul,
      .gelu_mul = plain::GeluMul,
      .gelu_erf = plain::GeluErf,
      .softcap = plain::Softcap,
  };
  return kSet;
}

}  // namespace fallow::engine
