#include "engine/weight_format.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fallow::engine {
namespace {

std::uint16_t ReadHalf(const std::uint8_t* bytes) {
  return static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8);
}

std::uint8_t Byte(std::uint32_t value) {
  return static_cast<std::uint8_t>(value);
}

// 32 nibbles: the low ones are values 0 … 15, the high ones 16 … 31.
void ReadNibbles(const std::uint8_t* bytes, std::uint8_t* q) {
  for (std::uint32_t i = 0; i < 16; ++i) {
    q[i] = bytes[i] & 15;
    q[i + 16] = bytes[i] >> 4;
  }
}

// A fifth bit for each of 32 values.
void ReadFifthBits(const std::uint8_t* bytes, std::uint8_t* q) {
  for (std::uint32_t i = 0; i < 32; ++i) {
    q[i] = Byte(q[i] | (bytes[i / 8] >> i % 8 & 1) << 4);
  }
}

// Q8_0, Q4_0, Q4_1, Q5_0, Q5_1: scale, minimum if there is one, fifth bits if there are some,
// values.
void UnpackSmallBlock(const WeightFormat& format, const std::uint8_t* bytes, WeightBlock& block) {
  block.scale = ReadHalf(bytes);
  bytes += 2;
  if (format.has_minimum) {
    block.minimum = ReadHalf(bytes);
    bytes += 2;
  }
  if (format.bits == 8) {
    for (std::uint32_t i = 0; i < 32; ++i) block.q[i] = bytes[i] ^ 0x80;  // int8 plus 128
    return;
  }
  const std::uint8_t* fifth_bits = bytes;
  if (format.bits == 5) bytes += 4;
  ReadNibbles(bytes, block.q.data());
  if (format.bits == 5) ReadFifthBits(fifth_bits, block.q.data());
}

// The eight 6-bit scales and minimums in 12 bytes.
void ReadSixBitPairs(const std::uint8_t* bytes, WeightBlock& block) {
  for (std::uint32_t i = 0; i < 8; ++i) {
    std::uint32_t scale = bytes[i] & 63;
    std::uint32_t minimum = bytes[i + 4] & 63;
    if (i >= 4) {
      scale = (bytes[i + 4] & 15) | (bytes[i - 4] >> 6) << 4;
      minimum = bytes[i + 4] >> 4 | (bytes[i] >> 6) << 4;
    }
    block.sub_scales[i] = static_cast<std::int8_t>(scale);
    block.sub_minimums[i] = Byte(minimum);
  }
}

// Q4_K, Q5_K: for each 64 values 32 bytes, the low nibbles first; a fifth bit at 2j and 2j + 1.
void UnpackPairedBlock(const WeightFormat& format, const std::uint8_t* bytes, WeightBlock& block) {
  block.scale = ReadHalf(bytes);
  block.minimum = ReadHalf(bytes + 2);
  ReadSixBitPairs(bytes + 4, block);
  bytes += 16;
  const std::uint8_t* fifth_bits = bytes;
  if (format.bits == 5) bytes += 32;
  for (std::uint32_t run = 0; run < 8; ++run) {
    const std::uint8_t* pairs = bytes + run / 2 * 32;
    const std::uint32_t shift = run % 2 * 4;
    std::uint8_t* q = block.q.data() + run * 32;
    for (std::uint32_t i = 0; i < 32; ++i) q[i] = pairs[i] >> shift & 15;
    if (format.bits != 5) continue;
    for (std::uint32_t i = 0; i < 32; ++i) q[i] = Byte(q[i] | (fifth_bits[i] >> run & 1) << 4);
  }
}

// Q6_K: four runs of 32 in each half of 128 values. Runs 0 and 1 have the low nibbles, 2 and 3 the
// high ones of 64 bytes; run r has bits 2r and 2r + 1 of 32 bytes.
void UnpackSixBitBlock(const std::uint8_t* bytes, WeightBlock& block) {
  for (std::uint32_t run = 0; run < 8; ++run) {
    const std::uint32_t place = run % 4;
    const std::uint8_t* low = bytes + run / 4 * 64 + place % 2 * 32;
    const std::uint8_t* high = bytes + 128 + run / 4 * 32;
    std::uint8_t* q = block.q.data() + run * 32;
    for (std::uint32_t i = 0; i < 32; ++i) {
      q[i] = Byte((low[i] >> place / 2 * 4 & 15) | (high[i] >> place * 2 & 3) << 4);
    }
  }
  std::memcpy(block.sub_scales.data(), bytes + 192, 16);
  block.scale = ReadHalf(bytes + 208);
}

}  // namespace

const WeightFormat* FindWeightFormat(std::string_view name) {
  const auto* found = std::ranges::find(kWeightFormats, name, &WeightFormat::name);
  return found == std::ranges::end(kWeightFormats) ? nullptr : found;
}

std::string_view WeightTypeName(WeightType type) {
  return FormatOf(type).name;
}

std::uint64_t WeightRowBytes(WeightType type, std::uint64_t columns) {
  const WeightFormat& format = FormatOf(type);
  return columns / format.block_values * format.block_bytes;
}

void UnpackWeightBlock(const WeightFormat& format, const std::uint8_t* bytes, WeightBlock& block) {
  FALLOW_CHECK(format.is_integer());
  if (format.block_values == 32) {
    UnpackSmallBlock(format, bytes, block);
  } else if (format.has_minimum) {
    UnpackPairedBlock(format, bytes, block);
  } else {
    UnpackSixBitBlock(bytes, block);
  }
}

}  // namespace fallow::engine
