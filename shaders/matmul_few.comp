#version 450
// Matrix product for few rows: y[row][n] = snap(sum over k of weights[n][k] * x[row][k]).
//
//   Q8_0:     (float(int sum of 32) * weight scale) * activation scale, added over the blocks of a
//   256-chunk, then
//             chunk by chunk
//   F32, F16: products added in order inside a 256-chunk, then chunk by chunk
//
// Bindings, segments and types: include/matmul.glsl.
// Shape: an octet takes a tile of 32 outputs (x axis) of one row (y axis), four outputs a lane;
// the lanes share the row by shuffles.
// Promise: the contract's order; the bits of a row depend on that row alone. At most blocks * 9 /
// 8 + 1 iterations.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

#include "matmul.glsl"

void main() {
  Tile tile = FindTile(OctetIndex());
  if (!tile.exists) return;
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint group_size = GroupSize();
  uint group = tile.segment.weights_offset + (tile.first_output >> 3) * group_size + lane;
  uint row_x = args.x_offset + row * args.x_stride;

  precise float sums[kGroups];
  [[unroll]] for (uint j = 0; j < kGroups; j++) sums[j] = 0.0;
  for (uint first = 0; first < args.blocks; first += 8) {
    uint count = min(8u, args.blocks - first);
    precise float chunk[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) chunk[j] = 0.0;
#if WEIGHTS == 2
    uint chunk_at = (first >> 3) * 136;
    uvec4 halves[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) halves[j] =
        weights[group + j * group_size + chunk_at + count * 16];
    float x_scale = x_scales[args.scales_offset + row * args.scale_stride + first + lane];
    for (uint b = 0; b < count; b++) {
      uvec4 mine = x[row_x + (first + b) * 2 + (lane >> 2)];
      FOUR four = Four(mine[lane & 3u]);
      FOUR shared_x[8];
      [[unroll]] for (uint r = 0; r < 8; r++) shared_x[r] = subgroupShuffle(four, OctetPeer(r));
      float block_scale = subgroupShuffle(x_scale, OctetPeer(b));
      [[unroll]] for (uint j = 0; j < kGroups; j++) {
        uint at = group + j * group_size + chunk_at + b * 16;
        uvec4 low = weights[at];
        uvec4 high = weights[at + 8];
        precise SUM sum = SUM(0);
        [[unroll]] for (uint i = 0; i < 4; i++) {
          sum = sum + Dot(shared_x[i], Four(low[i]));
          sum = sum + Dot(shared_x[4 + i], Four(high[i]));
        }
        chunk[j] = chunk[j] + (SumToFloat(sum) * WeightScale(halves[j], b)) * block_scale;
      }
    }
#else
    for (uint b = 0; b < count; b++) {
      vec4 mine = x[row_x + (first + b) * 8 + lane];
      [[unroll]] for (uint r = 0; r < 8; r++) {
        vec4 four = subgroupShuffle(mine, OctetPeer(r));
        [[unroll]] for (uint j = 0; j < kGroups; j++) {
          uvec4 element =
              weights[group + j * group_size + ((first + b) * (8 >> WEIGHTS) + (r >> WEIGHTS)) * 8];
          precise vec4 products = FourWeights(element, r) * four;
          chunk[j] = chunk[j] + products.x;
          chunk[j] = chunk[j] + products.y;
          chunk[j] = chunk[j] + products.z;
          chunk[j] = chunk[j] + products.w;
        }
      }
    }
#endif
    [[unroll]] for (uint j = 0; j < kGroups; j++) sums[j] = sums[j] + chunk[j];
  }
  [[unroll]] for (uint j = 0; j < kGroups; j++) {
    uint output_index = tile.first_output + j * 8 + lane;
    if (output_index < tile.segment.outputs)
      results[tile.segment.results_offset + row * tile.segment.stride + output_index] =
          ExactSnap(sums[j]);
  }
}
