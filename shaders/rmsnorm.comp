#version 450
// RMS norm, on its own or after a residual addition, with the int8 form of its result where that
// is wanted.
//
//   kAdd:      x = snap(x + y)
//   out = snap((x * rsqrt(sum(x^2) * inverse_count + epsilon)) * weight)
//   kQuantise: out also as int8 per 32 columns
//
// Bindings: 0 x, 1 y, 2 weight, 3 out, 4 int8 words of out, 5 scales of out. Offsets in elements
// of the binding's type. Rows are `stride` floats apart, a multiple of 32; the columns past the
// last hold +0 and add nothing to the sum.
// Shape: one octet a row, lane l takes columns 4l … 4l+3 of each 32.
// Promise: the sum is the contract's vector sum; the bits of a row depend on that row alone.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

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
layout(std430, binding = 4) writeonly buffer Quantised {
  uint quantised[];
};
layout(std430, binding = 5) writeonly buffer Scales {
  float scales[];
};

layout(push_constant) uniform Arguments {
  uint rows;
  uint stride;
  uint scale_stride;
  float inverse_count;
  float epsilon;
  uint x_offset;
  uint y_offset;
  uint weight_offset;
  uint result_offset;
  uint quantised_offset;
  uint scales_offset;
} args;

void main() {
  uint row = OctetIndex();
  if (PastEnd(row, args.rows)) return;
  uint lane = OctetLane();
  uint blocks = args.stride >> 5;
  uint row_x = args.x_offset + row * (args.stride >> 2) + lane;
  uint row_y = args.y_offset + row * (args.stride >> 2) + lane;

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
      part = part + v * v;
    }
    sum = sum + OctetHalve32(part);
  }
  precise float mean = sum * args.inverse_count + args.epsilon;
  float factor = ExactRsqrt(mean);

  for (uint block = 0; block < blocks; block++) {
    precise vec4 scaled =
        (x[row_x + block * 8] * factor) * weight[args.weight_offset + block * 8 + lane];
    vec4 value = Snap4(scaled);
    result[args.result_offset + row * (args.stride >> 2) + block * 8 + lane] = value;
    if (kQuantise) {
      QuantisedLane q = QuantiseOctet(value);
      quantised[args.quantised_offset + row * (args.stride >> 2) + block * 8 + lane] =
          PackBytes(q.values);
      if (lane == 0) scales[args.scales_offset + row * args.scale_stride + block] = q.scale;
    }
  }
}
