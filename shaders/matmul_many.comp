#version 450
// Matrix product for many rows: y[row][n] = snap(sum over k of weights[n][k] * x[row][k]), in the
// order of matmul_few.comp, so with the same bits.
//
// Bindings, segments and types: include/matmul.glsl. Rows are read in eights: x holds them,
// whatever is in the rows past the last.
// Shape: an octet takes a tile of 32 outputs (x axis) of eight rows (y axis): four outputs a lane
// for every row. A lane loads one of the rows, the octet shares them by shuffles, so that a weight
// is loaded and widened once for eight rows.
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
  uint first_row = gl_WorkGroupID.y * 8;
  uint group_size = GroupSize();
  uint group = tile.segment.weights_offset + (tile.first_output >> 3) * group_size + lane;
  uint row_x = args.x_offset + (first_row + lane) * args.x_stride;

  precise float sums[8][kGroups];
  [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++) sums[i][j] =
      0.0;
  for (uint first = 0; first < args.blocks; first += 8) {
    uint count = min(8u, args.blocks - first);
    precise float chunk[8][kGroups];
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        chunk[i][j] = 0.0;
#if WEIGHTS == 2
    uint chunk_at = (first >> 3) * 136;
    uvec4 halves[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) halves[j] =
        weights[group + j * group_size + chunk_at + count * 16];
    for (uint b = 0; b < count; b++) {
      FOUR w[kGroups][8];
      float w_scale[kGroups];
      [[unroll]] for (uint j = 0; j < kGroups; j++) {
        uint at = group + j * group_size + chunk_at + b * 16;
        uvec4 low = weights[at];
        uvec4 high = weights[at + 8];
        [[unroll]] for (uint i = 0; i < 4; i++) {
          w[j][i] = Four(low[i]);
          w[j][4 + i] = Four(high[i]);
        }
        w_scale[j] = WeightScale(halves[j], b);
      }
      uvec4 low = x[row_x + (first + b) * 2];
      uvec4 high = x[row_x + (first + b) * 2 + 1];
      FOUR mine[8];
      [[unroll]] for (uint i = 0; i < 4; i++) {
        mine[i] = Four(low[i]);
        mine[4 + i] = Four(high[i]);
      }
      float x_scale =
          x_scales[args.scales_offset + (first_row + lane) * args.scale_stride + first + b];
      [[unroll]] for (uint i = 0; i < 8; i++) {
        precise SUM sum[kGroups];
        [[unroll]] for (uint j = 0; j < kGroups; j++) sum[j] = SUM(0);
        [[unroll]] for (uint r = 0; r < 8; r++) {
          FOUR four = subgroupShuffle(mine[r], OctetPeer(i));
          [[unroll]] for (uint j = 0; j < kGroups; j++) sum[j] = sum[j] + Dot(four, w[j][r]);
        }
        float row_scale = subgroupShuffle(x_scale, OctetPeer(i));
        [[unroll]] for (uint j = 0; j < kGroups; j++) chunk[i][j] =
            chunk[i][j] + (SumToFloat(sum[j]) * w_scale[j]) * row_scale;
      }
    }
#else
    for (uint b = 0; b < count; b++) {
      [[unroll]] for (uint r = 0; r < 8; r++) {
        vec4 mine = x[row_x + (first + b) * 8 + r];
        vec4 w[kGroups];
        [[unroll]] for (uint j = 0; j < kGroups; j++) w[j] = FourWeights(
            weights[group + j * group_size + ((first + b) * (8 >> WEIGHTS) + (r >> WEIGHTS)) * 8],
            r);
        [[unroll]] for (uint i = 0; i < 8; i++) {
          vec4 four = subgroupShuffle(mine, OctetPeer(i));
          [[unroll]] for (uint j = 0; j < kGroups; j++) {
            precise vec4 products = w[j] * four;
            chunk[i][j] = chunk[i][j] + products.x;
            chunk[i][j] = chunk[i][j] + products.y;
            chunk[i][j] = chunk[i][j] + products.z;
            chunk[i][j] = chunk[i][j] + products.w;
          }
        }
      }
    }
#endif
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        sums[i][j] = sums[i][j] + chunk[i][j];
  }
  [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++) {
    uint output_index = tile.first_output + j * 8 + lane;
    if (first_row + i < args.rows && output_index < tile.segment.outputs)
      results[tile.segment.results_offset + (first_row + i) * tile.segment.stride + output_index] =
          ExactSnap(sums[i][j]);
  }
}
