// Values that find holes in kernels: all sizes, exact ties, denormals, negative zeros, whole blocks
// of zeros.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "base/bytes.h"
#include "engine/backend.h"
#include "tests/support/trying_weights.h"

namespace fallow::engine {

class RandomValues {
 public:
  explicit RandomValues(std::uint32_t seed) : random_(seed) {}

  std::uint32_t Below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

  std::vector<float> Activations(std::size_t count) {
    std::vector<float> values(count);
    float size = 1;
    for (std::size_t i = 0; i < count; ++i) {
      // Every 32 values another size, from far below the smallest scale to large.
      if (i % 32 == 0)
        size = Below(8) == 0 ? 0.0f : std::ldexp(1.0f, static_cast<int>(Below(80)) - 60);
      if (Below(3) != 0 && i % 32 == 0) size = 1;
      values[i] = size * normal_(random_);
      switch (Below(40)) {
        case 0:
          values[i] = -0.0f;
          break;
        case 1:
          values[i] = std::bit_cast<float>(Below(0x800000));
          break;  // a denormal
        case 2:
          values[i] = size * (static_cast<float>(Below(255)) - 127.0f) * 0.5f;
          break;  // ties
        default:
          break;
      }
    }
    return values;
  }

  // Rows of weights as GGUF stores them.
  Bytes Weights(WeightType type, std::uint32_t rows, std::uint32_t columns) {
    const auto next = [this] { return static_cast<std::uint32_t>(random_()); };
    if (FormatOf(type).is_integer()) {
      return TryingIntegerWeights(type, rows, columns, next, kHalfExponents);
    }
    Bytes data(rows * WeightRowBytes(type, columns));
    const std::size_t width = FormatOf(type).block_bytes;
    for (std::size_t i = 0; i < data.size(); i += width) {
      const auto bits = std::bit_cast<std::uint32_t>(Activations(1)[0]);
      if (type == WeightType::kF32) Put(data, i, bits);
      if (type == WeightType::kBF16) Put(data, i, static_cast<std::uint16_t>(bits >> 16));
      if (type == WeightType::kF16) Put(data, i, TryingHalf(next, kHalfExponents));
    }
    return data;
  }

 private:
  template <class T>
  static void Put(Bytes& data, std::size_t at, T value) {
    std::memcpy(&data[at], &value, sizeof value);
  }

  static constexpr std::uint32_t kHalfExponents = 20;

  std::mt19937 random_;
  std::normal_distribution<float> normal_;
};

}  // namespace fallow::engine
