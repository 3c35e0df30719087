#version 450
// Rotary positions: turns pairs of each head's first rotary_size values in place, in one tensor or
// two.
//
//   (a, b) = (snap(a * cos - b * sin), snap(a * sin + b * cos))
//
// A pair is two neighbours or, with kHalves, values half a rotary_size apart.
// Bindings: 0 x, 1 table (a row of (cos, sin) pairs for each place), 2 step words. Offsets in
// elements of the binding's type. rotary_size is even.
// Shape: an octet takes 128 pairs of a tensor's row, the second tensor's after the first's (x axis),
// of one row (y axis); a lane every eighth. Without a second tensor its rows have no pairs.
// Promise: a pair depends on itself, its place in the head and its row's place in the table alone.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(constant_id = 1) const bool kHalves = false;

layout(std430, binding = 0) buffer X {
  float x[];
};
layout(std430, binding = 1) readonly buffer Table {
  vec2 table[];
};
layout(std430, binding = 2) readonly buffer Step {
  uint step_words[];
};

struct Rows {
  uint pairs;
  uint stride;
  uint offset;
};

layout(push_constant) uniform Arguments {
  Rows rows[2];
  uint octets;  // of the first tensor's row
  uint head_size;
  uint head_pairs;  // that turn
  uint table_stride;  // pairs
  uint table_offset;
  uint places_offset;
} args;

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint octet = OctetIndex();
  bool is_second = octet >= args.octets;
  uint pairs = is_second ? args.rows[1].pairs : args.rows[0].pairs;
  uint row_x = is_second ? args.rows[1].offset + row * args.rows[1].stride
                         : args.rows[0].offset + row * args.rows[0].stride;
  uint row_table =
      args.table_offset + step_words[args.places_offset + row] * args.table_stride;
  uint first = (is_second ? octet - args.octets : octet) * 128 + lane;
  uint end = min(pairs, (first & ~127u) + 128);
  uint head = first / args.head_pairs;
  uint in_head = first - head * args.head_pairs;
  for (uint pair = first; pair < end; pair += 8) {
    uint at = row_x + head * args.head_size + (kHalves ? in_head : in_head * 2);
    uint other = at + (kHalves ? args.head_pairs : 1);
    vec2 turn = table[row_table + in_head];
    float u = x[at];
    float v = x[other];
    precise float a = u * turn.x - v * turn.y;
    precise float b = u * turn.y + v * turn.x;
    x[at] = ExactSnap(a);
    x[other] = ExactSnap(b);
    // Without a division for each pair.
    in_head += 8;
    while (in_head >= args.head_pairs) {
      in_head -= args.head_pairs;
      head++;
    }
  }
}
