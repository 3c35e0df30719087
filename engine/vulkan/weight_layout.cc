#include "engine/vulkan/weight_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kChunkBlocks = 8;
constexpr std::uint32_t kQ8BlockBytes = 34;  // fp16 scale, 32 int8

std::uint32_t Blocks(std::uint32_t columns) {
  return (columns + kQuantBlock - 1) / kQuantBlock;
}

std::uint64_t GroupElements(WeightType type, std::uint32_t columns) {
  const std::uint64_t blocks = Blocks(columns);
  switch (type) {
    case WeightType::kF32:
      return blocks * 64;
    case WeightType::kF16:
      return blocks * 32;
    default:
    case WeightType::kQ8_0:
      return blocks * 16 + (blocks + kChunkBlocks - 1) / kChunkBlocks * 8;
  }
  FALLOW_UNREACHABLE();
}

bool IsFiniteHalf(std::uint16_t bits) {
  return (bits & 0x7C00) != 0x7C00;
}
bool IsFiniteFloat(std::uint32_t bits) {
  return (bits & 0x7F800000) != 0x7F800000;
}

std::unexpected<Error> NotFinite(std::uint32_t row, std::uint32_t column) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("weights: row {}, column {} is infinite or not a number", row, column));
}

// One output's weights. `group` is its group's first byte, `member` its place in the group.
Status PackF32(std::uint32_t row, std::uint32_t columns, const std::uint8_t* data,
               std::uint8_t* group, std::uint32_t member) {
  for (std::uint32_t k = 0; k < columns; k++) {
    float value;
    std::memcpy(&value, data + std::size_t{k} * 4, 4);
    std::uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (!IsFiniteFloat(bits)) return NotFinite(row, k);
    value = ExactWeight(value);
    std::memcpy(group + (std::size_t{k / 4} * 8 + member) * kWeightElementBytes + k % 4 * 4, &value,
                4);
  }
  return {};
}

Status PackF16(std::uint32_t row, std::uint32_t columns, const std::uint8_t* data,
               std::uint8_t* group, std::uint32_t member) {
  for (std::uint32_t k = 0; k < columns; k++) {
    std::uint16_t bits;
    std::memcpy(&bits, data + std::size_t{k} * 2, 2);
    if (!IsFiniteHalf(bits)) return NotFinite(row, k);
    std::memcpy(group + (std::size_t{k / 8} * 8 + member) * kWeightElementBytes + k % 8 * 2, &bits,
                2);
  }
  return {};
}

Status PackQ8(std::uint32_t row, std::uint32_t columns, const std::uint8_t* data,
              std::uint8_t* group, std::uint32_t member) {
  const std::uint32_t blocks = Blocks(columns);
  for (std::uint32_t block = 0; block < blocks; block++) {
    const std::uint8_t* source = data + std::size_t{block} * kQ8BlockBytes;
    std::uint16_t scale;
    std::memcpy(&scale, source, 2);
    if (!IsFiniteHalf(scale)) return NotFinite(row, block * kQuantBlock);
    const std::uint32_t chunk = block / kChunkBlocks;
    const std::uint32_t in_chunk = block % kChunkBlocks;
    const std::uint32_t chunk_blocks = std::min(kChunkBlocks, blocks - chunk * kChunkBlocks);
    std::uint8_t* chunk_at =
        group + std::size_t{chunk} * (kChunkBlocks * 16 + 8) * kWeightElementBytes;
    for (std::uint32_t half = 0; half < 2; half++)
      std::memcpy(chunk_at + (std::size_t{in_chunk} * 16 + half * 8 + member) * kWeightElementBytes,
                  source + 2 + half * 16, 16);
    std::memcpy(
        chunk_at + (std::size_t{chunk_blocks} * 16 + member) * kWeightElementBytes + in_chunk * 2,
        &scale, 2);
  }
  return {};
}

}  // namespace

std::uint64_t GroupBytes(WeightType type, std::uint32_t columns) {
  return GroupElements(type, columns) * kWeightElementBytes;
}

std::uint64_t PackedBytes(WeightType type, std::uint32_t rows, std::uint32_t columns) {
  const std::uint64_t tiles = (std::uint64_t{rows} + kTileOutputs - 1) / kTileOutputs;
  return tiles * (kTileOutputs / kGroupOutputs) * GroupBytes(type, columns);
}

Status PackWeights(WeightType type, std::uint32_t first_row, std::uint32_t rows,
                   std::uint32_t columns, ByteView data, std::span<std::uint8_t> out) {
  const std::uint64_t row_bytes = WeightRowBytes(type, columns);
  FALLOW_CHECK(data.size() >= rows * row_bytes);
  FALLOW_CHECK(out.size() == PackedBytes(type, rows, columns));
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  const auto pack = type == WeightType::kF32   ? PackF32
                    : type == WeightType::kF16 ? PackF16
                                               : PackQ8;
  for (std::uint32_t row = 0; row < rows; row++)
    FALLOW_RETURN_IF_ERROR(pack(first_row + row, columns, data.data() + row * row_bytes,
                                out.data() + row / kGroupOutputs * GroupBytes(type, columns),
                                row % kGroupOutputs));
  return {};
}

}  // namespace fallow::engine
