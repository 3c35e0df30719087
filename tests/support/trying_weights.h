// Weights of integer types as GGUF stores them, with what tries a kernel among them: integers at
// both ends of their range, scales of zero, subnormal and negative ones, the least sub-scale.
#pragma once

#include <cstring>

#include "base/bytes.h"
#include "engine/weight_format.h"

namespace fallow::engine {

// Finite fp16 bits below 2^(exponents - 15); subnormals and zeros often. `next` gives 32 random
// bits.
template <class Next>
std::uint16_t TryingHalf(Next&& next, std::uint32_t exponents) {
  const std::uint32_t kind = next() % 16;
  const std::uint32_t exponent = kind < 2 ? 0 : next() % exponents;
  const std::uint32_t mantissa = kind == 0 ? 0 : next() % 1024;
  return static_cast<std::uint16_t>((next() & 0x8000u) | exponent << 10 | mantissa);
}

// Where a block keeps its fp16 scale. Its minimum follows, where the type has one.
inline std::size_t ScaleOffset(const WeightFormat& format) {
  const bool scale_is_last = format.block_values == 256 && !format.has_minimum;
  return scale_is_last ? format.block_bytes - 2 : 0;
}

template <class Next>
void TryingBlock(const WeightFormat& format, Next&& next, std::uint32_t exponents,
                 std::uint8_t* block) {
  const std::uint32_t kind = next() % 8;
  const std::uint8_t lowest = format.bits == 8 ? 0x80 : 0x00;
  for (std::size_t i = 0; i < format.block_bytes; ++i) {
    const auto highest = static_cast<std::uint8_t>(lowest - 1);
    block[i] = kind == 0 ? lowest : kind == 1 ? highest : static_cast<std::uint8_t>(next() >> 8);
  }
  if (format.sub_block_values == 16 && next() % 4 == 0) {
    std::memset(block + ScaleOffset(format) - 16, next() % 2 == 0 ? 0x80 : 0x7F, 16);
  }
  std::uint8_t* halves = block + ScaleOffset(format);
  for (int i = 0; i < (format.has_minimum ? 2 : 1); ++i) {
    const std::uint16_t half = TryingHalf(next, exponents);
    std::memcpy(halves + 2 * i, &half, 2);
  }
}

template <class Next>
Bytes TryingIntegerWeights(WeightType type, std::uint32_t rows, std::uint32_t columns, Next&& next,
                           std::uint32_t exponents) {
  const WeightFormat& format = FormatOf(type);
  Bytes bytes(rows * WeightRowBytes(type, columns));
  for (std::size_t at = 0; at < bytes.size(); at += format.block_bytes) {
    TryingBlock(format, next, exponents, bytes.data() + at);
  }
  return bytes;
}

}  // namespace fallow::engine
