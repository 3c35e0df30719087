// Weights in memory as the CPU's kernels want them: planes, each with one kind of number for all
// blocks.
//
// Rows, for plain code:
//   values      [row][column]  fp32, fp16 or bf16 bits; for integer types q, a byte each
//   scales, minimums          [row][block]  fp16 bits
//   sub_scales, sub_minimums  [row][block][sub-block]  a byte each
// Interleaved, for vectors: groups of 16 rows, the last one padded with zeros. A quad is 4 columns
// of such a group, [16 rows][4 values]; 32 columns are 8 quads, in the order of their columns.
//   float types  values [group][column][16 rows]
//   8 bits       values [group][32 columns][8 quads], a byte for each q
//   4 to 6 bits  values [group][32 columns][4 vectors], vector v with the low four bits of quad 2v
//                in its low nibbles, of quad 2v + 1 in its high ones
//   5 bits       high_bits [group][32 columns], one vector, bit k for quad k
//   6 bits       high_bits [group][32 columns][2 vectors], vector v with bits 2k and 2k + 1 for
//   quad
//                4v + k
//   scales, minimums          [group][block][16 rows]
//   sub_scales, sub_minimums  [group][block][sub-block][16 rows]
// So an integer type takes as much memory as in a file, but for K-quants with 6-bit sub-scales,
// which lie in bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/weight_format.h"

namespace fallow::engine {

// Outputs whose weights an interleaved layout keeps together.
inline constexpr std::uint32_t kRowGroup = 16;

enum class WeightLayout : std::uint8_t { kRows, kInterleaved };

// Does not own. One view serves filling and reading.
struct WeightsView {
  const WeightFormat* format = nullptr;
  WeightLayout layout = WeightLayout::kRows;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;  // whole blocks
  std::uint8_t* values = nullptr;
  std::uint8_t* high_bits = nullptr;
  std::int8_t* sub_scales = nullptr;
  std::uint8_t* sub_minimums = nullptr;
  std::uint16_t* scales = nullptr;
  std::uint16_t* minimums = nullptr;

  std::uint32_t block_count() const { return columns / format->block_values; }  // of a row
};

// Bytes of all planes together. Planes follow one another in one piece of memory.
std::uint64_t PlaneBytes(const WeightFormat& format, WeightLayout layout, std::uint32_t rows,
                         std::uint32_t columns);
// The planes in `memory`, PlaneBytes long, which starts on a cache line.
WeightsView PlanesIn(std::uint8_t* memory, const WeightFormat& format, WeightLayout layout,
                     std::uint32_t rows, std::uint32_t columns);

// One block of an integer type. Different rows may be put at the same time.
void PutBlock(const WeightsView& weights, std::uint32_t row, std::uint32_t block,
              const WeightBlock& content);
void GetBlock(const WeightsView& weights, std::uint32_t row, std::uint32_t block,
              WeightBlock& content);

// Where a weight of a float type lies, in weights from the first.
std::size_t FloatPlace(const WeightsView& weights, std::uint32_t row, std::uint32_t column);

}  // namespace fallow::engine
