#version 450
// Copies rows: out[i] = x[source_rows[i]].
//
// Bindings: 0 x, 1 source rows, 3 out. Offsets in elements of the binding's type.
// Shape: an octet takes 256 columns (x axis) of one row of the result (y axis).
// Promise: a copy of bits.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(std430, binding = 0) readonly buffer X {
  uvec4 x[];
};
layout(std430, binding = 1) readonly buffer Rows {
  uint source_rows[];
};
layout(std430, binding = 3) writeonly buffer Out {
  uvec4 result[];
};

layout(push_constant) uniform Arguments {
  uint stride;
  uint x_offset;
  uint rows_offset;
  uint result_offset;
} args;

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint source = source_rows[args.rows_offset + row];
  uint first = OctetIndex() * 8;
  uint end = min(args.stride >> 5, first + 8);
  for (uint block = first; block < end; block++) {
    uint column = block * 8 + lane;
    result[args.result_offset + row * (args.stride >> 2) + column] =
        x[args.x_offset + source * (args.stride >> 2) + column];
  }
}
