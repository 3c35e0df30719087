// How weights lie in device memory: repacked so that eight neighbouring lanes read eight outputs'
// weights side by side. One description, WeightFormat's, drives this and the kernels
// (shaders/include/weights.glsl).
//
// A group is eight outputs; a block 32 columns; a chunk up to eight blocks; an element 16 bytes,
// one load of a lane. Columns are padded with zeros to whole blocks, outputs to whole tiles of 32.
//   F32:       [group][block][8 places of 4 columns][8 outputs] fp32
//   F16, BF16: [group][block][4 places of 8 columns][8 outputs] 16 bits
//   integers:  [group][chunk] these parts, each with the eight outputs side by side:
//     low   8 bits: [block][2 halves of 16 columns] q - zero as int8
//           else:   [block] byte i holds the lower four bits of columns i and 16 + i
//     high  1 bit:  [4 blocks] a word a block: bit 8i + r is of column 4r + i
//           2 bits: [2 blocks] two words a block: bits 8i + 2(r mod 4) of word r / 4
//     numbers, without sub-blocks: [scales][minimums, if any] eight fp16, one a block
//           with sub-blocks of 32: fp16 scale and minimum; a word with the lower four bits of the
//                                  sub-scales; one with those of the sub-minimums; a word with the
//                                  upper two bits, of the sub-minimums in its upper half
//           with sub-blocks of 16: 16 int8 sub-scales; then one element of eight fp16 scales, one
//           an
//                                  output
//   A last chunk of fewer blocks has no more of low and high than they need.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/backend.h"

namespace fallow::engine {

inline constexpr std::uint32_t kGroupOutputs = 8;
inline constexpr std::uint32_t kTileOutputs = 32;
inline constexpr std::uint32_t kWeightElementBytes = 16;

// Bytes of one group of eight outputs.
std::uint64_t GroupBytes(WeightType type, std::uint32_t columns);

// Bytes of `rows` outputs, padded to whole tiles.
std::uint64_t PackedBytes(WeightType type, std::uint32_t rows, std::uint32_t columns);

// Writes `rows` outputs of a GGUF matrix, beginning with the first byte of `data`, to `out`,
// PackedBytes long. fp32 and bf16 weights below 2^-40 become +0. Refuses Inf and NaN
// (kInvalidArgument); `first_row` is for the message.
Status PackWeights(WeightType type, std::uint32_t first_row, std::uint32_t rows,
                   std::uint32_t columns, ByteView data, std::span<std::uint8_t> out);

}  // namespace fallow::engine
