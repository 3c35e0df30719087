#version 450
// Joins the 256-chunks of attention.comp in order of position, those that the row sees.
//
//   first chunk: M, L, O = maximum, total, value
//   then:        M' = the larger maximum, a = softmax_weight(M - M'), b = softmax_weight(maximum -
//   M'),
//                L = join(L, a, total, b), O = join(O, a, value, b)
//   out = snap(O * rcp(L))
//
// Bindings: 2 step words, 3 out, 7 partial values, 8 partial (maximum, total) pairs. Offsets in
// elements of the binding's type.
// Shape: an octet takes one head (x axis) of one row (y axis); a lane four columns of each 32.
// Promise: chunks are joined in order whatever the number of them computed at once; one loop over
// a row's chunks, at most 60,000.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(constant_id = 3) const uint kBlocks = 1;

layout(std430, binding = 2) readonly buffer Step {
  uint step_words[];
};
layout(std430, binding = 3) writeonly buffer Out {
  float result[];
};
layout(std430, binding = 7) readonly buffer PartialValues {
  vec4 partial_values[];
};
layout(std430, binding = 8) readonly buffer PartialSums {
  vec2 partial_sums[];
};

layout(push_constant) uniform Arguments {
  uint heads;
  uint head_size;
  uint stride;
  uint first_row;
  uint chunks;  // partials of a row
  uint window;
  uint positions_offset;
  uint last_seen_offset;
  uint result_offset;
  uint values_offset;
  uint sums_offset;
} args;

void main() {
  uint head = OctetIndex();
  if (PastEnd(head, args.heads)) return;
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y + args.first_row;
  uint position = step_words[args.positions_offset + row];
  uint first_seen = args.window != 0 && position >= args.window ? position - args.window + 1 : 0;
  uint chunk_count =
      (step_words[args.last_seen_offset + row] >> 8) - (first_seen >> 8) + 1;
  uint partial = (gl_WorkGroupID.y * args.heads + head) * args.chunks;

  vec2 first = partial_sums[args.sums_offset + partial];
  float largest = first.x;
  float total = first.y;
  vec4 value[kBlocks];
  [[unroll]] for (uint block = 0; block < kBlocks; block++) value[block] =
      partial_values[args.values_offset + (partial * kBlocks + block) * 8 + lane];

  for (uint chunk = 1; chunk < chunk_count; chunk++) {
    vec2 sums = partial_sums[args.sums_offset + partial + chunk];
    float larger = sums.x > largest ? sums.x : largest;
    precise float old_below = largest - larger;
    precise float new_below = sums.x - larger;
    float a = ExactSoftmaxWeight(old_below);
    float b = ExactSoftmaxWeight(new_below);
    largest = larger;
    total = ExactJoin(total, a, sums.y, b);
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      vec4 v =
          partial_values[args.values_offset + ((partial + chunk) * kBlocks + block) * 8 + lane];
      value[block] =
          vec4(ExactJoin(value[block].x, a, v.x, b), ExactJoin(value[block].y, a, v.y, b),
               ExactJoin(value[block].z, a, v.z, b), ExactJoin(value[block].w, a, v.w, b));
    }
  }

  float inverse = ExactRcp(total);
  [[unroll]] for (uint block = 0; block < kBlocks; block++) {
    precise vec4 scaled = value[block] * vec4(inverse);
    vec4 y = Snap4(scaled);
    [[unroll]] for (uint i = 0; i < 4; i++) {
      uint column = block * 32 + lane * 4 + i;
      if (column < args.head_size)
        result[args.result_offset + row * args.stride + head * args.head_size + column] = y[i];
    }
  }
}
