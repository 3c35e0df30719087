// How weights lie in device memory: repacked so that eight neighbouring lanes read eight outputs'
// weights side by side.
//
// A group is eight outputs; a block 32 columns; an element 16 bytes, one load of a lane. Columns
// are padded with zeros to whole blocks, outputs to whole tiles of 32.
//   F32:  [group][block][8 places of 4 columns][8 outputs] fp32
//   F16:  [group][block][4 places of 8 columns][8 outputs] fp16
//   Q8_0: [group][chunk of 8 blocks]: [block][2 halves of 16 columns][8 outputs] int8, then [8
//   outputs] the fp16 scales
//         of the chunk's blocks; the last chunk has only the blocks there are
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
// PackedBytes long. fp32 weights below 2^-40 become +0. Refuses Inf and NaN; `first_row` is for the
// message.
Status PackWeights(WeightType type, std::uint32_t first_row, std::uint32_t rows,
                   std::uint32_t columns, ByteView data, std::span<std::uint8_t> out);

}  // namespace fallow::engine
