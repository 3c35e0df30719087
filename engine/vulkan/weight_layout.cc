#include "engine/vulkan/weight_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kChunkBlocks = 8;

std::uint32_t Blocks(std::uint32_t columns) {
  return (columns + kQuantBlock - 1) / kQuantBlock;
}

// Elements of each part of a chunk of an integer type, for one output.
struct ChunkParts {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  std::uint32_t numbers = 0;
  std::uint32_t shared = 0;  // elements that the eight outputs have together

  std::uint32_t group_elements() const { return (low + high + numbers) * kGroupOutputs + shared; }
};

std::uint32_t HighBits(const WeightFormat& format) {
  return format.bits == 8 ? 0 : format.bits - 4;
}

ChunkParts PartsOf(const WeightFormat& format, std::uint32_t blocks) {
  ChunkParts parts;
  parts.low = blocks * (format.bits == 8 ? 2 : 1);
  parts.high = (blocks * HighBits(format) + 3) / 4;  // of words
  parts.numbers = format.sub_block_values == 0 && format.has_minimum ? 2 : 1;
  parts.shared = format.sub_block_values == 16 ? 1 : 0;
  return parts;
}

std::uint64_t GroupElements(const WeightFormat& format, std::uint32_t columns) {
  const std::uint64_t blocks = Blocks(columns);
  if (!format.is_integer()) return blocks * kQuantBlock * format.block_bytes / 2;
  const std::uint32_t rest = blocks % kChunkBlocks;
  return blocks / kChunkBlocks * PartsOf(format, kChunkBlocks).group_elements() +
         (rest == 0 ? 0 : PartsOf(format, rest).group_elements());
}

std::unexpected<Error> NotFinite(std::uint32_t row, std::uint32_t column) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("weights: row {}, column {} is infinite or not a number", row, column));
}

// The bits of a 16-bit float that is kept: a bf16 below 2^-40 becomes +0.
std::uint16_t KeptBits(WeightType type, std::uint16_t bits) {
  if (type != WeightType::kBF16) return bits;
  const float value = ExactWeight(std::bit_cast<float>(std::uint32_t{bits} << 16));
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
}

// One output's weights. `group` is its group's first byte, `member` its place in the group.
Status PackFloats(std::uint32_t row, std::uint32_t columns, const std::uint8_t* data,
                  std::uint8_t* group, std::uint32_t member) {
  for (std::uint32_t k = 0; k < columns; k++) {
    float value;
    std::memcpy(&value, data + std::size_t{k} * 4, 4);
    if ((std::bit_cast<std::uint32_t>(value) & 0x7F800000) == 0x7F800000) return NotFinite(row, k);
    value = ExactWeight(value);
    std::memcpy(group + (std::size_t{k / 4} * 8 + member) * kWeightElementBytes + k % 4 * 4, &value,
                4);
  }
  return {};
}

Status PackShortFloats(WeightType type, std::uint32_t row, std::uint32_t columns,
                       const std::uint8_t* data, std::uint8_t* group, std::uint32_t member) {
  const std::uint16_t exponent = type == WeightType::kBF16 ? 0x7F80 : 0x7C00;
  for (std::uint32_t k = 0; k < columns; k++) {
    std::uint16_t bits;
    std::memcpy(&bits, data + std::size_t{k} * 2, 2);
    if ((bits & exponent) == exponent) return NotFinite(row, k);
    bits = KeptBits(type, bits);
    std::memcpy(group + (std::size_t{k / 8} * 8 + member) * kWeightElementBytes + k % 8 * 2, &bits,
                2);
  }
  return {};
}

// One output's share of a chunk. Elements are counted from the part's first.
class ChunkWriter {
 public:
  ChunkWriter(const WeightFormat& format, std::uint32_t blocks, std::uint8_t* chunk,
              std::uint32_t member)
      : format_(format), parts_(PartsOf(format, blocks)), chunk_(chunk), member_(member) {}

  // q: the block's 32 integers.
  void WriteBlock(std::uint32_t block, const std::uint8_t* q) {
    if (format_.bits == 8) {
      for (std::uint32_t half = 0; half < 2; half++) {
        std::uint8_t* out = Element(block * 2 + half);
        for (std::uint32_t i = 0; i < 16; i++)
          out[i] = static_cast<std::uint8_t>(q[half * 16 + i] - format_.zero);
      }
      return;
    }
    std::uint8_t* out = Element(block);
    for (std::uint32_t i = 0; i < 16; i++)
      out[i] = static_cast<std::uint8_t>((q[i] & 15) | (q[16 + i] & 15) << 4);
    if (format_.bits > 4) WriteHighBits(block, q);
  }

  // Scale, and minimum if there is one, of a block of a type without sub-blocks.
  void WriteNumbers(std::uint32_t block, const WeightBlock& numbers) {
    std::memcpy(Element(first_number()) + block * 2, &numbers.scale, 2);
    if (format_.has_minimum)
      std::memcpy(Element(first_number() + 1) + block * 2, &numbers.minimum, 2);
  }

  // The numbers of a chunk of a type with sub-blocks.
  void WriteChunkNumbers(const WeightBlock& numbers) {
    std::uint8_t* out = Element(first_number());
    if (format_.sub_block_values == 16) {
      std::memcpy(out, numbers.sub_scales.data(), 16);
      std::memcpy(SharedElement() + member_ * 2, &numbers.scale, 2);
      return;
    }
    std::uint32_t words[4] = {numbers.scale | std::uint32_t{numbers.minimum} << 16, 0, 0, 0};
    for (std::uint32_t s = 0; s < 8; s++) {
      const auto scale = static_cast<std::uint32_t>(numbers.sub_scales[s]);
      const std::uint32_t minimum = numbers.sub_minimums[s];
      words[1] |= (scale & 15) << 4 * s;
      words[2] |= (minimum & 15) << 4 * s;
      words[3] |= (scale >> 4) << 2 * s | (minimum >> 4) << (16 + 2 * s);
    }
    std::memcpy(out, words, sizeof(words));
  }

 private:
  std::uint32_t first_number() const { return parts_.low + parts_.high; }
  std::uint8_t* Element(std::uint32_t index) {
    return chunk_ + (std::size_t{index} * kGroupOutputs + member_) * kWeightElementBytes;
  }
  std::uint8_t* SharedElement() {
    return chunk_ +
           std::size_t{first_number() + parts_.numbers} * kGroupOutputs * kWeightElementBytes;
  }

  void WriteHighBits(std::uint32_t block, const std::uint8_t* q) {
    const std::uint32_t bits = HighBits(format_);
    const std::uint32_t fours = 8 / bits;  // a word has the high bits of so many columns
    for (std::uint32_t w = 0; w < bits; w++) {
      std::uint32_t word = 0;
      for (std::uint32_t r = 0; r < fours; r++)
        for (std::uint32_t i = 0; i < 4; i++)
          word |= std::uint32_t{q[(w * fours + r) * 4 + i]} >> 4 << (8 * i + bits * r);
      const std::uint32_t index = block * bits + w;
      std::memcpy(Element(parts_.low + index / 4) + index % 4 * 4, &word, 4);
    }
  }

  const WeightFormat& format_;
  ChunkParts parts_;
  std::uint8_t* chunk_;
  std::uint32_t member_;
};

Status PackIntegers(const WeightFormat& format, std::uint32_t row, std::uint32_t columns,
                    const std::uint8_t* data, std::uint8_t* group, std::uint32_t member) {
  const std::uint32_t blocks = Blocks(columns);
  const std::uint64_t chunk_bytes =
      std::uint64_t{PartsOf(format, kChunkBlocks).group_elements()} * kWeightElementBytes;
  const std::uint32_t source_blocks = format.block_values / kQuantBlock;  // of 32, in one of GGUF's
  WeightBlock source;
  for (std::uint32_t first = 0; first < blocks; first += kChunkBlocks) {
    const std::uint32_t count = std::min(kChunkBlocks, blocks - first);
    ChunkWriter writer(format, count, group + first / kChunkBlocks * chunk_bytes, member);
    for (std::uint32_t b = 0; b < count; b += source_blocks) {
      UnpackWeightBlock(format, data, source);
      data += format.block_bytes;
      if (!source.IsFinite()) return NotFinite(row, (first + b) * kQuantBlock);
      for (std::uint32_t i = 0; i < source_blocks; i++)
        writer.WriteBlock(b + i, source.q.data() + std::size_t{i} * kQuantBlock);
      if (format.sub_block_values == 0)
        writer.WriteNumbers(b, source);
      else
        writer.WriteChunkNumbers(source);
    }
  }
  return {};
}

}  // namespace

std::uint64_t GroupBytes(WeightType type, std::uint32_t columns) {
  return GroupElements(FormatOf(type), columns) * kWeightElementBytes;
}

std::uint64_t PackedBytes(WeightType type, std::uint32_t rows, std::uint32_t columns) {
  const std::uint64_t tiles = (std::uint64_t{rows} + kTileOutputs - 1) / kTileOutputs;
  return tiles * (kTileOutputs / kGroupOutputs) * GroupBytes(type, columns);
}

Status PackWeights(WeightType type, std::uint32_t first_row, std::uint32_t rows,
                   std::uint32_t columns, ByteView data, std::span<std::uint8_t> out) {
  const WeightFormat& format = FormatOf(type);
  const std::uint64_t row_bytes = WeightRowBytes(type, columns);
  FALLOW_CHECK(data.size() >= rows * row_bytes);
  FALLOW_CHECK(out.size() == PackedBytes(type, rows, columns));
  FALLOW_CHECK(columns % format.block_values == 0);
  std::ranges::fill(out, std::uint8_t{0});
  const std::uint64_t group_bytes = GroupBytes(type, columns);
  for (std::uint32_t row = 0; row < rows; row++) {
    const std::uint8_t* source = data.data() + row * row_bytes;
    std::uint8_t* group = out.data() + row / kGroupOutputs * group_bytes;
    const std::uint32_t member = row % kGroupOutputs;
    if (format.is_integer())
      FALLOW_RETURN_IF_ERROR(PackIntegers(format, first_row + row, columns, source, group, member));
    else if (type == WeightType::kF32)
      FALLOW_RETURN_IF_ERROR(PackFloats(first_row + row, columns, source, group, member));
    else
      FALLOW_RETURN_IF_ERROR(
          PackShortFloats(type, first_row + row, columns, source, group, member));
  }
  return {};
}

}  // namespace fallow::engine
