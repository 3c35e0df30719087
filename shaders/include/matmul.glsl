// What both matrix products share: up to three matrices of one type and width are multiplied by the
// same rows in one dispatch, each a segment of the x axis.
//
// Bindings: 0 activations (int8 words for integer types, fp32 otherwise), 1 their scales and sums
// (integer types, include/int8_form.glsl), 2 weights (include/weights.glsl), 3 results. Offsets in
// elements of the binding's type.
layout(constant_id = 1) const uint kGroups =
    4;  // groups of eight outputs in a tile: 32 outputs, four a lane

#include "weights.glsl"

#if FLOAT_BITS
layout(std430, binding = 0) readonly buffer X {
  vec4 x[];
};
#else
#include "dot.glsl"
layout(std430, binding = 0) readonly buffer X {
  uvec4 x[];
};
#endif
layout(std430, binding = 1) readonly buffer XNumbers {
  float x_numbers[];
};
layout(std430, binding = 3) writeonly buffer Results {
  float results[];
};

struct Segment {
  uint tile_end;  // in the x axis
  uint weights_offset;
  uint results_offset;
  uint outputs;
  uint stride;  // of the results
};

layout(push_constant) uniform Arguments {
  uint rows;
  uint blocks;    // of 32 columns
  uint x_stride;  // elements of the binding's type
  uint number_stride;
  uint x_offset;
  uint numbers_offset;
  Segment segments[3];
} args;

struct Tile {
  Segment segment;
  uint first_output;
  bool exists;
};

Tile FindTile(uint index) {
  Tile tile;
  tile.exists = !PastEnd(index, args.segments[2].tile_end);
  tile.segment = args.segments[0];
  uint begin = 0;
  if (index >= args.segments[0].tile_end) {
    begin = args.segments[0].tile_end;
    tile.segment = args.segments[1];
  }
  if (index >= args.segments[1].tile_end) {
    begin = args.segments[1].tile_end;
    tile.segment = args.segments[2];
  }
  tile.first_output = (index - begin) * 32;
  return tile;
}

#if !FLOAT_BITS
// Sums of x are needed where a minimum is added or a zero was left in the weights.
#define NEEDS_SUMS (HAS_ZERO || MINIMUM)
// The integer sums of a block's x, one for each of its sub-blocks.
#if SUB_BLOCK == 16
#define XSUMS vec2
#else
#define XSUMS float
#endif

uint RowNumbers(uint row) {
  return args.numbers_offset + row * args.number_stride;
}

// The scale that a block of a row's x has, or its chunk.
float XScale(uint row, uint block) {
#if SUB_BLOCK == 0
  return x_numbers[RowNumbers(row) + block];
#else
  return x_numbers[RowNumbers(row) + (block >> 3)];
#endif
}

XSUMS LoadXSums(uint row, uint block) {
#if !NEEDS_SUMS
  return XSUMS(0.0);
#elif SUB_BLOCK == 0
  return x_numbers[RowNumbers(row) + (args.number_stride >> 1) + block];
#else
  uint at = RowNumbers(row) + (args.blocks >> 3) + block * 2;
#if SUB_BLOCK == 16
  return vec2(x_numbers[at], x_numbers[at + 1]);
#else
  precise float sum = x_numbers[at] + x_numbers[at + 1];
  return sum;
#endif
#endif
}

FOUR FourOf(PackedBlock block, uint r) {
#if LOW_BITS == 8
  return FourSigned(FourBytes(block, r));
#else
  return FourUnsigned(FourBytes(block, r));
#endif
}

// What the sum of a sub-block of q * x begins with, to become one of (q - ZERO) * x.
SUM SumStart(float x_sum) {
#if HAS_ZERO
  precise SUM start = SUM(x_sum) * SUM(-ZERO);
  return start;
#else
  return SUM(0);
#endif
}

#if SUB_BLOCK == 0
// A block's term of a chunk.
float BlockTerm(SUM sum, float scale, float minimum, float x_sum, float x_scale) {
#if MINIMUM
  precise float scaled = SumToFloat(sum) * scale + x_sum * minimum;
  precise float term = scaled * x_scale;
#else
  precise float term = (SumToFloat(sum) * scale) * x_scale;
#endif
  return term;
}
#else
// A chunk's integer sums of one output.
struct Folded {
  int scaled;     // of sub_scale * (q - ZERO) * x
  float minimum;  // of sub_minimum * x, below 2^24
};

// Adds block b of a chunk. A block's part of `scaled` is below 2^24.
void FoldBlock(inout Folded folded, SUM sum[SUB_BLOCKS], ChunkNumbers numbers, uint b,
               XSUMS x_sums) {
  precise SUM part = sum[0] * SUM(SubScale(numbers, b, 0));
#if SUB_BLOCK == 16
  precise SUM second = sum[1] * SUM(SubScale(numbers, b, 1));
  part = part + second;
#endif
  folded.scaled += SumToInt(part);
#if MINIMUM
  precise float added = folded.minimum + float(SubMinimum(numbers, b)) * x_sums;
  folded.minimum = added;
#endif
}

// The chunk's one term.
float ChunkTerm(Folded folded, ChunkNumbers numbers, float x_scale) {
#if MINIMUM
  precise float scaled = ExactFloatWide(folded.scaled) * ChunkScale(numbers) -
                         folded.minimum * ChunkMinimum(numbers);
  precise float term = scaled * x_scale;
#else
  precise float term = (ExactFloatWide(folded.scaled) * ChunkScale(numbers)) * x_scale;
#endif
  return term;
}
#endif
#endif
