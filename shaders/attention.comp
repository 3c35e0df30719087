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
// Shape: an octet takes kHeads heads that share a key head (x axis) of one row (y axis) and one
// chunk (z axis). For scores a lane takes every eighth key; for values four columns of each 32.
// Promise: integer dots are exact in fp32; everything else is in the contract's order; at most 64
// loop iterations.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

layout(constant_id = 1) const bool kSingle = true;
layout(constant_id = 2) const bool kQuantise = false;
layout(constant_id = 3) const uint kBlocks = 1;  // of 32 values in a head
layout(constant_id = 4) const uint kHeads = 1;   // 1 or 2
layout(constant_id = 5) const bool kWhole = false;  // a head is whole blocks: no column is padding

layout(std430, binding = 0) readonly buffer Q {
  float q[];
};
layout(std430, binding = 0) readonly buffer QVectors {
  vec4 q_vectors[];
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
layout(std430, binding = 3) writeonly buffer OutVectors {
  vec4 result_vectors[];
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

// A lane's own scores: slot t of a head holds its key 8t + lane.
shared float scores[kHeads * 32 * gl_WorkGroupSize.x];

vec4 LoadQuery(uint row, uint head, uint block) {
  uint first = row * args.stride + head * args.head_size + block * 32 + OctetLane() * 4;
  if (kWhole) return q_vectors[(args.q_offset + first) >> 2];
  vec4 query = vec4(0.0);
  [[unroll]] for (uint i = 0; i < 4; i++)
    if (block * 32 + OctetLane() * 4 + i < args.head_size) query[i] = q[args.q_offset + first + i];
  return query;
}

void StoreResult(uint row, uint head, uint block, vec4 y) {
  uint first = row * args.stride + head * args.head_size + block * 32 + OctetLane() * 4;
  if (kWhole) {
    result_vectors[(args.result_offset + first) >> 2] = y;
  } else {
    [[unroll]] for (uint i = 0; i < 4; i++)
      if (block * 32 + OctetLane() * 4 + i < args.head_size)
        result[args.result_offset + first + i] = y[i];
  }
  if (kQuantise) {
    QuantisedLane quantised = QuantiseOctet(y);
    words[args.words_offset + (first >> 2)] = PackBytes(quantised.values);
    uint column_block = ((head * args.head_size) >> 5) + block;
    if (OctetLane() == 0)
      scales[args.scales_offset + row * args.scale_stride + column_block] = quantised.scale;
  }
}

void main() {
  uint first_head = OctetIndex() * kHeads;
  uint row = gl_WorkGroupID.y + args.first_row;
  uint chunk = gl_WorkGroupID.z;
  uint position = step_words[args.positions_offset + row];
  if (PastEnd(first_head, args.heads)) return;
  if (!kSingle && chunk > position >> 8) return;
  uint lane = OctetLane();
  uint slot = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
  uint page = step_words[args.pages_offset + row * args.pages_per_row + chunk];
  uint kv_heads = args.heads / args.heads_per_kv_head;
  uint paged_head = page * kv_heads + first_head / args.heads_per_kv_head;
  uint last = min(255u, position - chunk * 256);
  uint steps = (last >> 3) + 1;

  vec4 query[kHeads * kBlocks * 8];
  float query_scale[kHeads * kBlocks];
  [[unroll]] for (uint h = 0; h < kHeads; h++) {
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      precise vec4 mine = LoadQuery(row, first_head + h, block) * vec4(args.query_factor);
      QuantisedLane quantised = QuantiseOctet(mine);
      uint part = h * kBlocks + block;
      query_scale[part] = quantised.scale;
      vec4 integers = vec4(quantised.values);
      [[unroll]] for (uint r = 0; r < 8; r++)
        query[part * 8 + r] = subgroupShuffle(integers, OctetPeer(r));
    }
  }

  float largest[kHeads];
  [[unroll]] for (uint h = 0; h < kHeads; h++) largest[h] = -3.0e38;
  for (uint t = 0; t < steps; t++) {
    uint place = t * 8 + lane;
    precise float score[kHeads];
    [[unroll]] for (uint h = 0; h < kHeads; h++) score[h] = 0.0;
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      uint at = args.keys_offset + ((paged_head * 32 + t) * kBlocks + block) * 16 + lane;
      uvec4 low = keys[at];
      uvec4 high = keys[at + 8];
      float scale =
          key_scales[args.key_scales_offset + (paged_head * kBlocks + block) * 256 + place];
      precise float sum[kHeads];
      [[unroll]] for (uint h = 0; h < kHeads; h++) sum[h] = 0.0;
      [[unroll]] for (uint i = 0; i < 4; i++) {
        vec4 key_low = vec4(UnpackBytes(low[i]));
        vec4 key_high = vec4(UnpackBytes(high[i]));
        [[unroll]] for (uint h = 0; h < kHeads; h++) {
          sum[h] = sum[h] + dot(key_low, query[(h * kBlocks + block) * 8 + i]);
          sum[h] = sum[h] + dot(key_high, query[(h * kBlocks + block) * 8 + 4 + i]);
        }
      }
      [[unroll]] for (uint h = 0; h < kHeads; h++)
        score[h] = score[h] + (sum[h] * scale) * query_scale[h * kBlocks + block];
    }
    [[unroll]] for (uint h = 0; h < kHeads; h++) {
      scores[(h * 32 + t) * gl_WorkGroupSize.x + slot] = score[h];
      largest[h] = place <= last && score[h] > largest[h] ? score[h] : largest[h];
    }
  }
  [[unroll]] for (uint h = 0; h < kHeads; h++) {
    [[unroll]] for (uint step = 4; step > 0; step >>= 1) {
      float other = subgroupShuffleXor(largest[h], step);
      largest[h] = other > largest[h] ? other : largest[h];
    }
  }

  precise vec4 value[kHeads * kBlocks];
  [[unroll]] for (uint i = 0; i < kHeads * kBlocks; i++) value[i] = vec4(0.0);
  // The vector sum's partials lane, 8 + lane, 16 + lane, 24 + lane.
  precise vec4 parts[kHeads];
  [[unroll]] for (uint h = 0; h < kHeads; h++) parts[h] = vec4(0.0);
  for (uint t = 0; t < steps; t++) {
    uint place = t * 8 + lane;
    bool counts = place <= last;
    uint turn = t & 3u;
    float weight[kHeads];
    [[unroll]] for (uint h = 0; h < kHeads; h++) {
      precise float below = scores[(h * 32 + t) * gl_WorkGroupSize.x + slot] - largest[h];
      weight[h] = counts ? ExactSoftmaxWeight(below) : 0.0;
      parts[h] = parts[h] + vec4(turn == 0 ? weight[h] : 0.0, turn == 1 ? weight[h] : 0.0,
                                 turn == 2 ? weight[h] : 0.0, turn == 3 ? weight[h] : 0.0);
    }
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      float scale =
          value_scales[args.value_scales_offset + (paged_head * kBlocks + block) * 256 + place];
      uint at = args.values_offset + ((paged_head * kBlocks + block) * 64 + t * 2) * 8 + lane;
      uvec4 low = values[at];
      uvec4 high = values[at + 8];
      precise float scaled[kHeads];
      [[unroll]] for (uint h = 0; h < kHeads; h++) {
        scaled[h] = weight[h] * scale;
        scaled[h] = counts ? scaled[h] : 0.0;
      }
      [[unroll]] for (uint i = 0; i < 8; i++) {
        vec4 integers = vec4(UnpackBytes(i < 4 ? low[i & 3u] : high[i & 3u]));
        [[unroll]] for (uint h = 0; h < kHeads; h++) {
          precise vec4 product = vec4(subgroupShuffle(scaled[h], OctetPeer(i))) * integers;
          value[h * kBlocks + block] = value[h * kBlocks + block] + product;
        }
      }
    }
  }

  [[unroll]] for (uint h = 0; h < kHeads; h++) {
    uint head = first_head + h;
    precise vec2 halves = parts[h].xy + parts[h].zw;
    precise float eighth = halves.x + halves.y;
    float total = OctetHalve(eighth);
    if (kSingle) {
      float inverse = ExactRcp(total);
      [[unroll]] for (uint block = 0; block < kBlocks; block++) {
        precise vec4 scaled = value[h * kBlocks + block] * vec4(inverse);
        StoreResult(row, head, block, Snap4(scaled));
      }
    } else {
      uint partial = (gl_WorkGroupID.y * args.heads + head) * args.chunks + chunk;
      [[unroll]] for (uint block = 0; block < kBlocks; block++) {
        [[unroll]] for (uint i = 0; i < 4; i++)
          words[args.words_offset + (partial * kBlocks + block) * 32 + lane * 4 + i] =
              floatBitsToUint(value[h * kBlocks + block][i]);
      }
      if (lane == 0) {
        scales[args.scales_offset + partial * 2] = largest[h];
        scales[args.scales_offset + partial * 2 + 1] = total;
      }
    }
  }
}
