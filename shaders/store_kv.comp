#version 450
// Quantises each row's key or value per 32 values of a head and stores it at the row's place in
// its pages.
//
// Keys: element (((page * heads + head) * 32 + p / 8) * blocks * 2 + block * 2 + half) * 8 + p % 8
// Values: word (((page * heads + head) * blocks + block) * 64 + p / 4) * 32 + lane * 4 + p % 4
// Scales: ((page * heads + head) * blocks + block) * 256 + p
// with p = position % 256, so that attention reads 16 bytes a lane.
//
// Bindings: 0 keys, 1 values, 2 step words, 3 key words of the cache, 4 value words, 5 key scales,
// 6 value scales.
// Step words: positions at positions_offset, pages at pages_offset. Offsets in elements of the
// binding's type.
// Shape: an octet takes one head (x axis) of one row (y axis).
// Promise: a block depends on its own 32 values alone; a head is padded with zeros to a multiple
// of 32.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(std430, binding = 0) readonly buffer Keys {
  float keys[];
};
layout(std430, binding = 1) readonly buffer Values {
  float values[];
};
layout(std430, binding = 2) readonly buffer Step {
  uint step_words[];
};
layout(std430, binding = 3) writeonly buffer KeyWords {
  uint key_words[];
};
layout(std430, binding = 4) writeonly buffer ValueWords {
  uint value_words[];
};
layout(std430, binding = 5) writeonly buffer KeyScales {
  float key_scales[];
};
layout(std430, binding = 6) writeonly buffer ValueScales {
  float value_scales[];
};

layout(push_constant) uniform Arguments {
  uint heads;
  uint head_size;
  uint stride;
  uint pages_per_row;
  uint keys_offset;
  uint values_offset;
  uint positions_offset;
  uint pages_offset;
  uint key_words_offset;
  uint value_words_offset;
  uint key_scales_offset;
  uint value_scales_offset;
} args;

void main() {
  uint head = OctetIndex();
  if (PastEnd(head, args.heads)) return;
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint position = step_words[args.positions_offset + row];
  uint page = step_words[args.pages_offset + row * args.pages_per_row + (position >> 8)];
  uint place = position & 255u;
  uint blocks = (args.head_size + 31) >> 5;
  uint paged_head = page * args.heads + head;
  for (uint block = 0; block < blocks; block++) {
    vec4 key = vec4(0.0);
    vec4 value = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
      uint column = block * 32 + lane * 4 + i;
      if (column < args.head_size) {
        key[i] = keys[args.keys_offset + row * args.stride + head * args.head_size + column];
        value[i] = values[args.values_offset + row * args.stride + head * args.head_size + column];
      }
    }
    QuantisedLane k = QuantiseOctet(key);
    QuantisedLane v = QuantiseOctet(value);
    key_words[args.key_words_offset +
              (((paged_head * 32 + (place >> 3)) * blocks * 2 + block * 2 + (lane >> 2)) * 8 +
               (place & 7u)) *
                  4 +
              (lane & 3u)] = PackBytes(k.values);
    value_words[args.value_words_offset + ((paged_head * blocks + block) * 64 + (place >> 2)) * 32 +
                lane * 4 + (place & 3u)] = PackBytes(v.values);
    if (lane == 0) {
      uint scale_at = (paged_head * blocks + block) * 256 + place;
      key_scales[args.key_scales_offset + scale_at] = k.scale;
      value_scales[args.value_scales_offset + scale_at] = v.scale;
    }
  }
}
