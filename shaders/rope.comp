#version 450
// Rotary positions: turns neighbouring pairs of each head in place, in one tensor or two.
//
//   (a, b) = (snap(a * cos - b * sin), snap(a * sin + b * cos))
//
// Bindings: 0 x, 1 table (a row of (cos, sin) pairs for each position), 2 positions of the rows.
// Offsets in elements of the binding's type. head_size is even.
// Shape: an octet takes 256 columns of a tensor, the second's after the first's (x axis), of one
// row (y axis); a lane takes two pairs of each 32. Without a second tensor its rows have no columns.
// Promise: a pair depends on itself, its place in the head and its row's position alone.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(std430, binding = 0) buffer X {
  vec4 x[];
};
layout(std430, binding = 1) readonly buffer Table {
  vec2 table[];
};
layout(std430, binding = 2) readonly buffer Positions {
  uint positions[];
};

struct Rows {
  uint columns;
  uint stride;
  uint offset;
};

layout(push_constant) uniform Arguments {
  Rows rows[2];
  uint octets;  // of the first tensor's row
  uint head_size;
  uint table_stride;  // floats
  uint table_offset;
  uint positions_offset;
} args;

vec2 Turn(vec2 pair, vec2 turn) {
  precise float a = pair.x * turn.x - pair.y * turn.y;
  precise float b = pair.x * turn.y + pair.y * turn.x;
  return vec2(ExactSnap(a), ExactSnap(b));
}

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint octet = OctetIndex();
  bool is_second = octet >= args.octets;
  uint columns = is_second ? args.rows[1].columns : args.rows[0].columns;
  uint stride = is_second ? args.rows[1].stride : args.rows[0].stride;
  uint row_x = (is_second ? args.rows[1].offset : args.rows[0].offset) + row * (stride >> 2);
  uint row_table =
      args.table_offset + positions[args.positions_offset + row] * (args.table_stride >> 1);
  uint first = (is_second ? octet - args.octets : octet) * 8;
  uint end = min(stride >> 5, first + 8);
  for (uint block = first; block < end; block++) {
    uint column = block * 32 + lane * 4;
    if (column >= columns) continue;
    uint at = row_x + block * 8 + lane;
    vec4 v = x[at];
    v.xy = Turn(v.xy, table[row_table + (column % args.head_size >> 1)]);
    if (column + 2 < columns)
      v.zw = Turn(v.zw, table[row_table + ((column + 2) % args.head_size >> 1)]);
    x[at] = v;
  }
}
