#version 450
// Attention of one query head over one 256-chunk of its sequence's positions.
//
//   score_j  = sum over the head's blocks of (float(int dot) * key scale) * query scale, in order
//   maximum  = largest score; weight_j = softmax_weight(score_j - maximum)
//   total    = vector sum of the weights
//   value[d] = sum over j, in order, of (weight_j * value scale_j) * v_jd
//   kSingle:   out = snap(value * rcp(total)), also as int8 per 32 columns with kQuantise
//   otherwise: maximum, total and value are partials that attention_join.comp joins in order
//
// The query is multiplied by query_factor and quantised per 32 first. Keys after the row's
// position do not count.
// Bindings: 0 q, 1 keys, 2 step words, 3 out, 4 values, 5 key scales, 6 value scales
// (store_kv.comp has their layouts), 7 int8 words of out, 8 scales of out; or, without kSingle, 7
// partial values and 8 partial (maximum, total) pairs. Offsets in elements of the binding's type.
// Shape: an octet takes one head (x axis) of one row (y axis) and one chunk (z axis). For scores a
// lane takes every eighth key; for values four columns of each 32.
// Promise: integer dots are exact in fp32; everything else is in the contract's order; at most 64
// loop iterations.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(constant_id = 1) const bool kSingle = true;
layout(constant_id = 2) const bool kQuantise = false;
layout(constant_id = 3) const uint kBlocks = 1;  // of 32 values in a head

layout(std430, binding = 0) readonly buffer Q {
  float q[];
};
layout(std430, binding = 1) readonly buffer Keys {
  uvec4 keys[];
};
layout(std430, binding = 2) readonly buffer Step {
  uint step_words[];
};
layout(std430, binding = 3) writeonly buffer Out {
  float result[];
};
layout(std430, binding = 4) readonly buffer Values {
  uvec4 values[];
};
layout(std430, binding = 5) readonly buffer KeyScales {
  float key_scales[];
};
layout(std430, binding = 6) readonly buffer ValueScales {
  float value_scales[];
};
layout(std430, binding = 7) writeonly buffer Words {
  uint words[];
};
layout(std430, binding = 8) writeonly buffer Scales {
  float scales[];
};

layout(push_constant) uniform Arguments {
  uint heads;
  uint heads_per_kv_head;
  uint head_size;
  uint stride;
  uint scale_stride;
  uint first_row;
  uint pages_per_row;
  uint chunks;  // partials of a row
  float query_factor;
  uint q_offset;
  uint positions_offset;
  uint pages_offset;
  uint result_offset;
  uint keys_offset;
  uint values_offset;
  uint key_scales_offset;
  uint value_scales_offset;
  uint words_offset;
  uint scales_offset;
} args;

// A lane's own scores: slot t holds its key 8t + lane.
shared float scores[32 * gl_WorkGroupSize.x];

void main() {
  uint head = OctetIndex();
  uint row = gl_WorkGroupID.y + args.first_row;
  uint chunk = gl_WorkGroupID.z;
  uint position = step_words[args.positions_offset + row];
  if (head >= args.heads || chunk > position >> 8) return;
  uint lane = OctetLane();
  uint slot = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
  uint page = step_words[args.pages_offset + row * args.pages_per_row + chunk];
  uint kv_heads = args.heads / args.heads_per_kv_head;
  uint paged_head = page * kv_heads + head / args.heads_per_kv_head;
  uint last = min(255u, position - chunk * 256);
  uint steps = (last >> 3) + 1;

  vec4 query[kBlocks * 8];
  float query_scale[kBlocks];
  [[unroll]] for (uint block = 0; block < kBlocks; block++) {
    precise vec4 mine = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
      uint column = block * 32 + lane * 4 + i;
      if (column < args.head_size)
        mine[i] = q[args.q_offset + row * args.stride + head * args.head_size + column];
    }
    mine = mine * vec4(args.query_factor);
    QuantisedLane quantised = QuantiseOctet(mine);
    query_scale[block] = quantised.scale;
    vec4 integers = vec4(quantised.values);
    [[unroll]] for (uint r = 0; r < 8; r++) query[block * 8 + r] =
        subgroupShuffle(integers, OctetPeer(r));
  }

  float largest = -3.0e38;
  for (uint t = 0; t < steps; t++) {
    uint place = t * 8 + lane;
    precise float score = 0.0;
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      uint at = args.keys_offset + ((paged_head * 32 + t) * kBlocks + block) * 16 + lane;
      uvec4 low = keys[at];
      uvec4 high = keys[at + 8];
      precise float sum = 0.0;
      [[unroll]] for (uint i = 0; i < 4; i++) {
        sum = sum + dot(vec4(UnpackBytes(low[i])), query[block * 8 + i]);
        sum = sum + dot(vec4(UnpackBytes(high[i])), query[block * 8 + 4 + i]);
      }
      float scale =
          key_scales[args.key_scales_offset + (paged_head * kBlocks + block) * 256 + place];
      score = score + (sum * scale) * query_scale[block];
    }
    scores[t * gl_WorkGroupSize.x + slot] = score;
    if (place <= last) largest = score > largest ? score : largest;
  }
  [[unroll]] for (uint step = 4; step > 0; step >>= 1) {
    float other = subgroupShuffleXor(largest, step);
    largest = other > largest ? other : largest;
  }

  precise vec4 value[kBlocks];
  [[unroll]] for (uint block = 0; block < kBlocks; block++) value[block] = vec4(0.0);
  precise vec4 parts = vec4(0.0);  // the vector sum's partials lane, 8 + lane, 16 + lane, 24 + lane
  for (uint t = 0; t < steps; t++) {
    uint place = t * 8 + lane;
    bool counts = place <= last;
    precise float below = scores[t * gl_WorkGroupSize.x + slot] - largest;
    float weight = counts ? ExactSoftmaxWeight(below) : 0.0;
    uint turn = t & 3u;
    parts = parts + vec4(turn == 0 ? weight : 0.0, turn == 1 ? weight : 0.0,
                         turn == 2 ? weight : 0.0, turn == 3 ? weight : 0.0);
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      float scale =
          value_scales[args.value_scales_offset + (paged_head * kBlocks + block) * 256 + place];
      precise float scaled = weight * scale;
      scaled = counts ? scaled : 0.0;
      uint at = args.values_offset + ((paged_head * kBlocks + block) * 64 + t * 2) * 8 + lane;
      uvec4 low = values[at];
      uvec4 high = values[at + 8];
      [[unroll]] for (uint i = 0; i < 4; i++) {
        precise vec4 product =
            vec4(subgroupShuffle(scaled, OctetPeer(i))) * vec4(UnpackBytes(low[i]));
        value[block] = value[block] + product;
      }
      [[unroll]] for (uint i = 0; i < 4; i++) {
        precise vec4 product =
            vec4(subgroupShuffle(scaled, OctetPeer(4 + i))) * vec4(UnpackBytes(high[i]));
        value[block] = value[block] + product;
      }
    }
  }
  precise vec2 halves = parts.xy + parts.zw;
  precise float eighth = halves.x + halves.y;
  float total = OctetHalve(eighth);

  if (kSingle) {
    float inverse = ExactRcp(total);
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      precise vec4 scaled = value[block] * vec4(inverse);
      vec4 y = Snap4(scaled);
      uint row_column = head * args.head_size + block * 32 + lane * 4;
      [[unroll]] for (uint i = 0; i < 4; i++) if (block * 32 + lane * 4 + i < args.head_size)
          result[args.result_offset + row * args.stride + row_column + i] = y[i];
      if (kQuantise) {
        QuantisedLane quantised = QuantiseOctet(y);
        words[args.words_offset + ((row * args.stride + row_column) >> 2)] =
            PackBytes(quantised.values);
        if (lane == 0)
          scales[args.scales_offset + row * args.scale_stride + (row_column >> 5)] =
              quantised.scale;
      }
    }
  } else {
    uint partial = (gl_WorkGroupID.y * args.heads + head) * args.chunks + chunk;
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      [[unroll]] for (uint i = 0; i < 4; i++)
          words[args.words_offset + (partial * kBlocks + block) * 32 + lane * 4 + i] =
              floatBitsToUint(value[block][i]);
    }
    if (lane == 0) {
      scales[args.scales_offset + partial * 2] = largest;
      scales[args.scales_offset + partial * 2 + 1] = total;
    }
  }
}
