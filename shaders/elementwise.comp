#version 450
// Operators on single values, with the int8 form of the result where that is wanted.
//
//   kOperation 0: quantise x             (kQuantise must be set)
//   kOperation 1: x = snap(x + y)
//   kOperation 2: x = snap(silu(x) * y)
//   kQuantise:    x also as int8 per 32 columns
//
// Bindings: 0 x, 1 y, 4 int8 words of x, 5 scales of x. Offsets in elements of the binding's type.
// Shape: an octet takes 256 columns of a row (x axis) of one row (y axis); lane l columns 4l …
// 4l+3 of each 32.
// Promise: every value depends on its own inputs alone, every int8 block on its own 32 values.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(constant_id = 1) const uint kOperation = 0;
layout(constant_id = 2) const bool kQuantise = false;

layout(std430, binding = 0) buffer X {
  vec4 x[];
};
layout(std430, binding = 1) readonly buffer Y {
  vec4 y[];
};
layout(std430, binding = 4) writeonly buffer Quantised {
  uint quantised[];
};
layout(std430, binding = 5) writeonly buffer Scales {
  float scales[];
};

layout(push_constant) uniform Arguments {
  uint stride;
  uint scale_stride;
  uint x_offset;
  uint y_offset;
  uint quantised_offset;
  uint scales_offset;
} args;

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint first = OctetIndex() * 8;
  uint end = min(args.stride >> 5, first + 8);
  for (uint block = first; block < end; block++) {
    uint at = row * (args.stride >> 2) + block * 8 + lane;
    vec4 value = x[args.x_offset + at];
    if (kOperation == 1) {
      precise vec4 sum = value + y[args.y_offset + at];
      value = Snap4(sum);
      x[args.x_offset + at] = value;
    }
    if (kOperation == 2) {
      vec4 up = y[args.y_offset + at];
      precise vec4 product =
          vec4(ExactSilu(value.x), ExactSilu(value.y), ExactSilu(value.z), ExactSilu(value.w)) * up;
      value = Snap4(product);
      x[args.x_offset + at] = value;
    }
    if (kQuantise) {
      QuantisedLane q = QuantiseOctet(value);
      quantised[args.quantised_offset + at] = PackBytes(q.values);
      if (lane == 0) scales[args.scales_offset + row * args.scale_stride + block] = q.scale;
    }
  }
}
