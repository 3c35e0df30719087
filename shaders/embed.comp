#version 450
// Rows of an embedding table, widened to fp32.
//
//   out[r] = snap(table[index[r]]), the index its token or its position; integer types as
//   docs/ARITHMETIC.md has them
//
// A table in several parts is read by one dispatch for each; a part writes the rows it holds.
// Bindings: 1 step words, 2 table (include/weights.glsl), 3 out. Offsets in elements of the
// binding's type.
// Shape: an octet takes 256 columns (x axis) of one row (y axis); lane l columns 4l … 4l+3 of each
// 32.
// Promise: a value depends on its weight alone.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

#include "weights.glsl"

layout(std430, binding = 1) readonly buffer Step {
  uint step_words[];
};
layout(std430, binding = 3) writeonly buffer Out {
  vec4 result[];
};

layout(push_constant) uniform Arguments {
  uint first_row;  // of this part
  uint row_count;  // in this part
  uint columns;
  uint stride;
  uint table_offset;
  uint index_offset;
  uint result_offset;
} args;

#if !FLOAT_BITS
vec4 Widen(ivec4 integers, ChunkNumbers numbers, uint b) {
#if SUB_BLOCK == 0
  precise vec4 value = vec4(integers) * BlockScale(numbers, b);
#if MINIMUM
  value = value + BlockMinimum(numbers, b);
#endif
#else
  precise vec4 value = vec4(integers * SubScale(numbers, b, OctetLane() >> 2)) * ChunkScale(numbers);
#if MINIMUM
  precise float minimum = float(SubMinimum(numbers, b)) * ChunkMinimum(numbers);
  value = value - minimum;
#endif
#endif
  return value;
}
#endif

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint place = step_words[args.index_offset + row] -
               args.first_row;  // wraps far beyond the count below the part
  if (place >= args.row_count) return;
  uint chunk = OctetIndex();
  uint blocks = (args.columns + 31) >> 5;
  uint member = place & 7u;
  uint group = args.table_offset + (place >> 3) * GroupSize(blocks) + member;
  uint count = min(8u, blocks - min(blocks, chunk * 8));
  if (count == 0) return;
#if !FLOAT_BITS
  ChunkPlace in_chunk = PlaceChunk(group, chunk, count);
  ChunkNumbers numbers = LoadNumbers(in_chunk, 0, member);
#endif
  for (uint b = 0; b < count; b++) {
    uint block = chunk * 8 + b;
#if FLOAT_BITS
    vec4 value = FourWeights(weights[PlaceFour(group, block, lane)], lane);
#else
    vec4 value = Widen(FourIntegers(LoadBlock(in_chunk, b, 0), lane), numbers, b);
#endif
    result[args.result_offset + row * (args.stride >> 2) + block * 8 + lane] = Snap4(value);
  }
}
