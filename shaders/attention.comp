#version 450
// Attention of one query head over one 256-chunk of its sequence's positions.
//
//   score_j  = sum over the head's blocks of (float(int dot) * key scale) * query scale, in order;
//              with kSoftcap softcap of that
//   maximum  = largest score; weight_j = softmax_weight(score_j - maximum)
//   total    = vector sum of the weights
//   value[d] = sum over j, in order, of (weight_j * value scale_j) * v_jd
//   kSingle:   out = snap(value * rcp(total)), also as int8 per 32 columns with kQuantise
//   otherwise: maximum, total and value are partials that attention_join.comp joins in order
//
// The query is multiplied by query_factor and quantised per 32 first. Keys before the row's window
// and after the last position it sees do not count; chunks are counted from the first that holds
// one that does.
// Bindings: 0 q, 1 keys, 2 step words, 3 out, 4 values, 5 key scales, 6 value scales
// (store_kv.comp has their layouts), 7 int8 words of out, 8 their numbers (include/int8_form.glsl);
// or, without kSingle, 7 partial values and 8 partial (maximum, total) pairs. Offsets in elements of
// the binding's type.
// Shape: an octet takes kHeads heads that share a key head (x axis) of one row (y axis) and one
// chunk (z axis). For scores a lane takes every eighth key; for values four columns of each 32.
// Promise: integer dots are exact; everything else is in the contract's order; at most 64 loop
// iterations.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

#include "dot.glsl"
#define INT8_WORDS 7
#define INT8_NUMBERS 8
#include "int8_form.glsl"

layout(constant_id = 1) const bool kSingle = true;
layout(constant_id = 2) const bool kQuantise = false;
layout(constant_id = 3) const uint kBlocks = 1;  // of 32 values in a head
layout(constant_id = 4) const uint kHeads = 1;   // 1 or 2
layout(constant_id = 5) const bool kWhole = false;  // a head is whole blocks: no column is padding
layout(constant_id = 6) const bool kSoftcap = false;

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
layout(std430, binding = 7) writeonly buffer PartialValues {
  vec4 partial_values[];
};
layout(std430, binding = 8) writeonly buffer PartialSums {
  vec2 partial_sums[];
};

layout(push_constant) uniform Arguments {
  uint heads;
  uint heads_per_kv_head;
  uint head_size;
  uint stride;
  uint first_row;
  uint pages_per_row;
  uint chunks;  // partials of a row
  uint window;  // positions a row sees, its own the last; 0: all
  float query_factor;
  float cap;
  float inverse_cap;
  uint q_offset;
  uint positions_offset;
  uint last_seen_offset;
  uint pages_offset;
  uint result_offset;
  uint keys_offset;
  uint values_offset;
  uint key_scales_offset;
  uint value_scales_offset;
  uint partial_values_offset;
  uint partial_sums_offset;
  Int8Form form;
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
  if (kQuantise)
    StoreBlock(args.form, row, ((head * args.head_size) >> 5) + block, y);
}

void main() {
  uint first_head = OctetIndex() * kHeads;
  uint row = gl_WorkGroupID.y + args.first_row;
  if (PastEnd(first_head, args.heads)) return;
  uint position = step_words[args.positions_offset + row];
  uint last_seen = step_words[args.last_seen_offset + row];
  uint first_seen = args.window != 0 && position >= args.window ? position - args.window + 1 : 0;
  uint chunk = (first_seen >> 8) + gl_WorkGroupID.z;
  if (!kSingle && chunk > last_seen >> 8) return;
  uint lane = OctetLane();
  uint slot = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
  uint page = step_words[args.pages_offset + row * args.pages_per_row + chunk];
  uint kv_heads = args.heads / args.heads_per_kv_head;
  uint paged_head = page * kv_heads + first_head / args.heads_per_kv_head;
  uint first = first_seen > chunk * 256 ? first_seen - chunk * 256 : 0;
  uint last = min(255u, last_seen - chunk * 256);
  uint first_step = first >> 3;
  uint last_step = last >> 3;

  FOUR query[kHeads * kBlocks * 8];
  float query_scale[kHeads * kBlocks];
  [[unroll]] for (uint h = 0; h < kHeads; h++) {
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      precise vec4 mine = LoadQuery(row, first_head + h, block) * vec4(args.query_factor);
      QuantisedLane quantised = QuantiseOctet(mine);
      uint part = h * kBlocks + block;
      query_scale[part] = quantised.scale;
      FOUR integers = FourOfIntegers(quantised.values);
      [[unroll]] for (uint r = 0; r < 8; r++)
        query[part * 8 + r] = subgroupShuffle(integers, OctetPeer(r));
    }
  }

  float largest[kHeads];
  [[unroll]] for (uint h = 0; h < kHeads; h++) largest[h] = -3.0e38;
  for (uint t = first_step; t <= last_step; t++) {
    uint place = t * 8 + lane;
    precise float score[kHeads];
    [[unroll]] for (uint h = 0; h < kHeads; h++) score[h] = 0.0;
    [[unroll]] for (uint block = 0; block < kBlocks; block++) {
      uint at = args.keys_offset + ((paged_head * 32 + t) * kBlocks + block) * 16 + lane;
      uvec4 low = keys[at];
      uvec4 high = keys[at + 8];
      float scale =
          key_scales[args.key_scales_offset + (paged_head * kBlocks + block) * 256 + place];
      precise SUM sum[kHeads];
      [[unroll]] for (uint h = 0; h < kHeads; h++) sum[h] = SUM(0);
      [[unroll]] for (uint i = 0; i < 4; i++) {
        FOUR key_low = FourSigned(low[i]);
        FOUR key_high = FourSigned(high[i]);
        [[unroll]] for (uint h = 0; h < kHeads; h++) {
          sum[h] = sum[h] + Dot(key_low, query[(h * kBlocks + block) * 8 + i]);
          sum[h] = sum[h] + Dot(key_high, query[(h * kBlocks + block) * 8 + 4 + i]);
        }
      }
      [[unroll]] for (uint h = 0; h < kHeads; h++)
        score[h] = score[h] + (SumToFloat(sum[h]) * scale) * query_scale[h * kBlocks + block];
    }
    bool counts = place >= first && place <= last;
    [[unroll]] for (uint h = 0; h < kHeads; h++) {
      if (kSoftcap) score[h] = ExactSoftcap(score[h], args.cap, args.inverse_cap);
      scores[(h * 32 + t) * gl_WorkGroupSize.x + slot] = score[h];
      largest[h] = counts && score[h] > largest[h] ? score[h] : largest[h];
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
  for (uint t = first_step; t <= last_step; t++) {
    uint place = t * 8 + lane;
    bool counts = place >= first && place <= last;
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
      uint partial = (gl_WorkGroupID.y * args.heads + head) * args.chunks + gl_WorkGroupID.z;
      [[unroll]] for (uint block = 0; block < kBlocks; block++) {
        partial_values[args.partial_values_offset + (partial * kBlocks + block) * 8 + lane] =
            value[h * kBlocks + block];
      }
      if (lane == 0) partial_sums[args.partial_sums_offset + partial] = vec2(largest[h], total);
    }
  }
}
