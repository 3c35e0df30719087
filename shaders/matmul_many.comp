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
  uint group_size = GroupSize(args.blocks);
  uint group = tile.segment.weights_offset + (tile.first_output >> 3) * group_size + lane;
  uint row_x = args.x_offset + (first_row + lane) * args.x_stride;

  precise float sums[8][kGroups];
  [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++) sums[i][j] =
      0.0;
  for (uint first = 0; first < args.blocks; first += 8) {
    uint count = min(8u, args.blocks - first);
#if FLOAT_BITS
    precise float chunk[8][kGroups];
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        chunk[i][j] = 0.0;
    for (uint b = 0; b < count; b++) {
      [[unroll]] for (uint r = 0; r < 8; r++) {
        vec4 mine = x[row_x + (first + b) * 8 + r];
        vec4 w[kGroups];
        [[unroll]] for (uint j = 0; j < kGroups; j++) w[j] =
            FourWeights(weights[PlaceFour(group + j * group_size, first + b, r)], r);
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
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        sums[i][j] = sums[i][j] + chunk[i][j];
#else
    ChunkPlace place = PlaceChunk(group, first >> 3, count);
    ChunkNumbers numbers[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) numbers[j] =
        LoadNumbers(place, j * group_size, lane);
#if SUB_BLOCK == 0
    precise float chunk[8][kGroups];
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        chunk[i][j] = 0.0;
#else
    Folded folded[8][kGroups];
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        folded[i][j] = Folded(0, 0.0);
#endif
    for (uint b = 0; b < count; b++) {
      FOUR w[kGroups][8];
#if SUB_BLOCK == 0
      float w_scale[kGroups];
      float w_minimum[kGroups];
#endif
      [[unroll]] for (uint j = 0; j < kGroups; j++) {
        PackedBlock block = LoadBlock(place, b, j * group_size);
        [[unroll]] for (uint r = 0; r < 8; r++) w[j][r] = FourOf(block, r);
#if SUB_BLOCK == 0
        w_scale[j] = BlockScale(numbers[j], b);
        w_minimum[j] = BlockMinimum(numbers[j], b);
#endif
      }
      uvec4 low = x[row_x + (first + b) * 2];
      uvec4 high = x[row_x + (first + b) * 2 + 1];
      FOUR mine[8];
      [[unroll]] for (uint i = 0; i < 4; i++) {
        mine[i] = FourSigned(low[i]);
        mine[4 + i] = FourSigned(high[i]);
      }
      float lane_scale = XScale(first_row + lane, first + b);
      XSUMS lane_sums = LoadXSums(first_row + lane, first + b);
      [[unroll]] for (uint i = 0; i < 8; i++) {
#if NEEDS_SUMS
        XSUMS x_sums = subgroupShuffle(lane_sums, OctetPeer(i));
#else
        XSUMS x_sums = lane_sums;
#endif
        precise SUM sum[kGroups][SUB_BLOCKS];
        [[unroll]] for (uint j = 0; j < kGroups; j++) {
#if SUB_BLOCK == 16
          sum[j][0] = SumStart(x_sums.x);
          sum[j][1] = SumStart(x_sums.y);
#else
          sum[j][0] = SumStart(x_sums);
#endif
        }
        [[unroll]] for (uint r = 0; r < 8; r++) {
          FOUR four = subgroupShuffle(mine[r], OctetPeer(i));
          [[unroll]] for (uint j = 0; j < kGroups; j++) sum[j][r * SUB_BLOCKS / 8] =
              sum[j][r * SUB_BLOCKS / 8] + Dot(four, w[j][r]);
        }
#if SUB_BLOCK == 0
        float x_scale = subgroupShuffle(lane_scale, OctetPeer(i));
        [[unroll]] for (uint j = 0; j < kGroups; j++) chunk[i][j] =
            chunk[i][j] + BlockTerm(sum[j][0], w_scale[j], w_minimum[j], x_sums, x_scale);
#else
        [[unroll]] for (uint j = 0; j < kGroups; j++)
          FoldBlock(folded[i][j], sum[j], numbers[j], b, x_sums);
#endif
      }
    }
#if SUB_BLOCK == 0
    [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++)
        sums[i][j] = sums[i][j] + chunk[i][j];
#else
    float lane_scale = XScale(first_row + lane, first);
    [[unroll]] for (uint i = 0; i < 8; i++) {
      float x_scale = subgroupShuffle(lane_scale, OctetPeer(i));
      [[unroll]] for (uint j = 0; j < kGroups; j++) sums[i][j] =
          sums[i][j] + ChunkTerm(folded[i][j], numbers[j], x_scale);
    }
#endif
#endif
  }
  [[unroll]] for (uint i = 0; i < 8; i++) [[unroll]] for (uint j = 0; j < kGroups; j++) {
    uint output_index = tile.first_output + j * 8 + lane;
    if (first_row + i < args.rows && output_index < tile.segment.outputs)
      results[tile.segment.results_offset + (first_row + i) * tile.segment.stride + output_index] =
          ExactSnap(sums[i][j]);
  }
}
