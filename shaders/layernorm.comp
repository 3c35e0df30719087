#version 450
// Layer norm of rows, on its own or after a residual addition, with the int8 form of its result
// where that is wanted.
//
//   kAdd:      x = snap(x + y)
//   mean = snap(sum(x) * inverse_count), d = x - mean
//   out = snap((d * rsqrt(sum(d^2) * inverse_count + epsilon)) * weight + bias)
//   kQuantise: out also as int8 per 32 columns (include/int8_form.glsl)
//
// Bindings: 0 x, 1 y, 2 weight, 3 out (which may be x), 4 int8 words of out, 5 their numbers, 6
// bias. Offsets in elements of the binding's type. Rows are `stride` floats apart, a multiple of 32.
// Shape: one octet a row, lane l takes columns 4l … 4l+3 of each 32.
// Promise: both sums are the contract's vector sums; the bits of a row depend on that row alone. At
// most blocks * 26 / 8 iterations.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

#define INT8_WORDS 4
#define INT8_NUMBERS 5
#include "int8_form.glsl"

layout(constant_id = 1) const bool kAdd = false;
layout(constant_id = 2) const bool kQuantise = false;

layout(std430, binding = 0) buffer X {
  vec4 x[];
};
layout(std430, binding = 1) readonly buffer Y {
  vec4 y[];
};
layout(std430, binding = 2) readonly buffer Weight {
  vec4 weight[];
};
layout(std430, binding = 3) writeonly buffer Out {
  vec4 result[];
};
layout(std430, binding = 6) readonly buffer Bias {
  vec4 bias[];
};

layout(push_constant) uniform Arguments {
  uint rows;
  uint columns;
  uint stride;
  float inverse_count;
  float epsilon;
  uint x_offset;
  uint y_offset;
  uint weight_offset;
  uint bias_offset;
  uint result_offset;
  Int8Form form;
} args;

float Sum(uint row_x, uint row_y, uint blocks) {
  precise float sum = 0.0;
  for (uint first = 0; first < blocks; first += 8) {
    uint end = min(blocks, first + 8);
    precise vec4 part = vec4(0.0);
    for (uint block = first; block < end; block++) {
      vec4 v = x[row_x + block * 8];
      if (kAdd) {
        precise vec4 added = v + y[row_y + block * 8];
        v = Snap4(added);
        x[row_x + block * 8] = v;
      }
      part = part + v;
    }
    sum = sum + OctetHalve32(part);
  }
  return sum;
}

// What the lane's values of a block are above the mean; 0 past the last column.
vec4 Deviation(uint row_x, uint block, float mean) {
  precise vec4 d = x[row_x + block * 8] - mean;
  uint column = block * 32 + OctetLane() * 4;
  [[unroll]] for (uint i = 0; i < 4; i++)
    if (column + i >= args.columns) d[i] = 0.0;
  return d;
}

float SumOfSquares(uint row_x, uint blocks, float mean) {
  precise float sum = 0.0;
  for (uint first = 0; first < blocks; first += 8) {
    uint end = min(blocks, first + 8);
    precise vec4 part = vec4(0.0);
    for (uint block = first; block < end; block++) {
      vec4 d = Deviation(row_x, block, mean);
      part = part + d * d;
    }
    sum = sum + OctetHalve32(part);
  }
  return sum;
}

void main() {
  uint row = OctetIndex();
  if (PastEnd(row, args.rows)) return;
  uint lane = OctetLane();
  uint blocks = args.stride >> 5;
  uint row_x = args.x_offset + row * (args.stride >> 2) + lane;
  uint row_y = args.y_offset + row * (args.stride >> 2) + lane;

  precise float average = Sum(row_x, row_y, blocks) * args.inverse_count;
  float mean = ExactSnap(average);
  precise float variance = SumOfSquares(row_x, blocks, mean) * args.inverse_count + args.epsilon;
  float factor = ExactRsqrt(variance);

  for (uint block = 0; block < blocks; block++) {
    uint at = block * 8 + lane;
    precise vec4 scaled =
        (Deviation(row_x, block, mean) * factor) * weight[args.weight_offset + at] +
        bias[args.bias_offset + at];
    vec4 value = Snap4(scaled);
    result[args.result_offset + row * (args.stride >> 2) + at] = value;
    if (kQuantise) StoreBlock(args.form, row, block, value);
  }
}
