// Matrix products of every weight type, in plain C++.
#include <algorithm>
#include <cstring>

#include "engine/cpu/plain_kernels.h"
#include "engine/exact.h"

namespace fallow::engine::plain {
namespace {

// Row n of the weights and row r of the activations.
struct Operands {
  const WeightsView& weights;
  const RowsView& x;
  std::uint32_t n;
  std::uint32_t r;
};

float Widen(std::uint16_t half) {
  return ExactHalf(half);
}

// Of (q - zero) * x.
std::int32_t Dot(const std::uint8_t* q, std::int32_t zero, const std::int8_t* x,
                 std::uint32_t count) {
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += (std::int32_t{q[i]} - zero) * x[i];
  return sum;
}

float ProductPer32(const Operands& o) {
  const WeightFormat& format = *o.weights.format;
  const std::uint32_t block_count = o.weights.block_count();
  const std::uint8_t* q = o.weights.values + std::size_t{o.n} * o.weights.columns;
  const std::uint16_t* scales = o.weights.scales + std::size_t{o.n} * block_count;
  const std::uint16_t* minimums = o.weights.minimums + std::size_t{o.n} * block_count;
  const Int8Block32* x = o.x.per_32 + std::size_t{o.r} * block_count;
  constexpr std::uint32_t kChunkBlocks = kChunk / 32;
  float sum = 0;
  for (std::uint32_t first = 0; first < block_count; first += kChunkBlocks) {
    float chunk = 0;
    for (std::uint32_t b = first; b < std::min(block_count, first + kChunkBlocks); ++b) {
      float term = ExactFloat(Dot(q + b * 32, format.zero, x[b].quants, 32)) * Widen(scales[b]);
      if (format.has_minimum) {
        term = term + ExactFloat(Sum(x[b].quants, 32)) * Widen(minimums[b]);
      }
      chunk = chunk + term * x[b].scale;
    }
    sum = sum + chunk;
  }
  return sum;
}

// A block is a chunk.
float ProductPer256(const Operands& o) {
  const WeightFormat& format = *o.weights.format;
  const std::uint32_t block_count = o.weights.block_count();
  const std::size_t first_block = std::size_t{o.n} * block_count;
  const Int8Block256* x = o.x.per_256 + std::size_t{o.r} * block_count;
  float sum = 0;
  for (std::uint32_t b = 0; b < block_count; ++b) {
    std::int32_t dots = 0;
    std::int32_t minimums = 0;
    for (std::uint32_t s = 0; s < format.sub_block_count(); ++s) {
      const std::size_t place = (first_block + b) * format.sub_block_count() + s;
      const std::uint8_t* q = o.weights.values + place * format.sub_block_values;
      const std::int8_t* values = x[b].quants + s * format.sub_block_values;
      dots += o.weights.sub_scales[place] * Dot(q, format.zero, values, format.sub_block_values);
      if (format.has_minimum) {
        minimums += o.weights.sub_minimums[place] * Sum(values, format.sub_block_values);
      }
    }
    float term = ExactFloatWide(dots) * Widen(o.weights.scales[first_block + b]);
    if (format.has_minimum) {
      term = term - ExactFloatWide(minimums) * Widen(o.weights.minimums[first_block + b]);
    }
    sum = sum + term * x[b].scale;
  }
  return sum;
}

template <class WeightAt>
float ProductFloat(const Operands& o, WeightAt weight_at) {
  const std::uint32_t columns = o.weights.columns;
  const float* x = o.x.values + std::size_t{o.r} * columns;
  const std::size_t row = std::size_t{o.n} * columns;
  float sum = 0;
  for (std::uint32_t first = 0; first < columns; first += kChunk) {
    float chunk = 0;
    for (std::uint32_t k = first; k < std::min(columns, first + kChunk); ++k) {
      chunk = chunk + weight_at(row + k) * x[k];
    }
    sum = sum + chunk;
  }
  return sum;
}

float Product(const Operands& o) {
  const WeightFormat& format = *o.weights.format;
  switch (format.activations()) {
    case ActivationForm::kInt8Per32:
      return ProductPer32(o);
    case ActivationForm::kInt8Per256:
      return ProductPer256(o);
    case ActivationForm::kFloat:
      break;
  }
  const auto* floats = reinterpret_cast<const float*>(o.weights.values);
  const auto* halves = reinterpret_cast<const std::uint16_t*>(o.weights.values);
  if (format.type == WeightType::kF32) {
    return ProductFloat(o, [=](std::size_t i) { return floats[i]; });
  }
  if (format.type == WeightType::kF16) {
    return ProductFloat(o, [=](std::size_t i) { return ExactHalf(halves[i]); });
  }
  return ProductFloat(
      o, [=](std::size_t i) { return std::bit_cast<float>(std::uint32_t{halves[i]} << 16); });
}

}  // namespace

void MatMul(const WeightsView& weights, const RowsView& x, Range rows, Range groups, float* out) {
  const std::uint32_t end = std::min(weights.rows, groups.end * kRowGroup);
  for (std::uint32_t r = rows.begin; r < rows.end; ++r) {
    for (std::uint32_t n = groups.begin * kRowGroup; n < end; ++n) {
      out[std::size_t{r} * weights.rows + n] = ExactSnap(Product({weights, x, n, r}));
    }
  }
}

}  // namespace fallow::engine::plain
