#version 450
// Rows of an embedding table, widened to fp32.
//
//   out[r] = snap(table[tokens[r]])
//
// WEIGHTS 0: F32, 1: F16, 2: Q8_0, in the layouts of engine/vulkan/weight_layout.h. A table in
// several parts is read by one dispatch for each; a part writes the rows whose tokens it holds.
// Bindings: 0 table, 1 tokens, 3 out. Offsets in elements of the binding's type.
// Shape: an octet takes 256 columns (x axis) of one row (y axis); lane l columns 4l … 4l+3 of each
// 32.
// Promise: Q8_0 is one product of an exact integer and an fp16 scale, snapped; the others are
// exact.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(std430, binding = 0) readonly buffer Table {
  uvec4 table[];
};
layout(std430, binding = 1) readonly buffer Tokens {
  uint tokens[];
};
layout(std430, binding = 3) writeonly buffer Out {
  vec4 result[];
};

layout(push_constant) uniform Arguments {
  uint first_token;  // of this part
  uint token_count;  // in this part
  uint columns;
  uint stride;
  uint table_offset;
  uint tokens_offset;
  uint result_offset;
} args;

vec4 Weights(uint group, uint member, uint block, uint lane) {
  uint blocks = (args.columns + 31) >> 5;
#if WEIGHTS == 0
  return uintBitsToFloat(
      table[args.table_offset + (group * blocks + block) * 64 + lane * 8 + member]);
#elif WEIGHTS == 1
  uvec4 eight = table[args.table_offset + (group * blocks + block) * 32 + (lane >> 1) * 8 + member];
  uvec2 four = (lane & 1u) == 0u ? eight.xy : eight.zw;
  return vec4(ExactHalf(four.x & 0xFFFFu), ExactHalf(four.x >> 16), ExactHalf(four.y & 0xFFFFu),
              ExactHalf(four.y >> 16));
#else
  uint chunks = (blocks + 7) >> 3;
  uint chunk = block >> 3;
  uint in_chunk = min(8u, blocks - chunk * 8);
  uint base = args.table_offset + group * (blocks * 16 + chunks * 8) + chunk * 136;
  uvec4 sixteen = table[base + (block & 7u) * 16 + (lane >> 2) * 8 + member];
  uvec4 halves = table[base + in_chunk * 16 + member];
  uint half_word = halves[(block & 7u) >> 1];
  float scale = ExactHalf((block & 1u) == 0u ? half_word & 0xFFFFu : half_word >> 16);
  ivec4 bytes = UnpackBytes(sixteen[lane & 3u]);
  precise vec4 value =
      vec4(ExactFloat(bytes.x), ExactFloat(bytes.y), ExactFloat(bytes.z), ExactFloat(bytes.w)) *
      scale;
  return value;
#endif
}

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint token = tokens[args.tokens_offset + row] -
               args.first_token;  // wraps far beyond the count below the part
  if (token >= args.token_count) return;
  uint first = OctetIndex() * 8;
  uint end = min((args.columns + 31) >> 5, first + 8);
  for (uint block = first; block < end; block++)
    result[args.result_offset + row * (args.stride >> 2) + block * 8 + lane] =
        Snap4(Weights(token >> 3, token & 7u, block, lane));
}
