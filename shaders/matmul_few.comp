#version 450
// Matrix product for few rows: y[row][n] = snap(sum over k of weights[n][k] * x[row][k]), chunk by
// chunk of 256 columns, the terms of a chunk as docs/ARITHMETIC.md has them for the weights' type.
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
  uint group_size = GroupSize(args.blocks);
  uint group = tile.segment.weights_offset + (tile.first_output >> 3) * group_size + lane;
  uint row_x = args.x_offset + row * args.x_stride;

  precise float sums[kGroups];
  [[unroll]] for (uint j = 0; j < kGroups; j++) sums[j] = 0.0;
  for (uint first = 0; first < args.blocks; first += 8) {
    uint count = min(8u, args.blocks - first);
#if FLOAT_BITS
    precise float chunk[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) chunk[j] = 0.0;
    for (uint b = 0; b < count; b++) {
      vec4 mine = x[row_x + (first + b) * 8 + lane];
      [[unroll]] for (uint r = 0; r < 8; r++) {
        vec4 four = subgroupShuffle(mine, OctetPeer(r));
        [[unroll]] for (uint j = 0; j < kGroups; j++) {
          uvec4 element = weights[PlaceFour(group + j * group_size, first + b, r)];
          precise vec4 products = FourWeights(element, r) * four;
          chunk[j] = chunk[j] + products.x;
          chunk[j] = chunk[j] + products.y;
          chunk[j] = chunk[j] + products.z;
          chunk[j] = chunk[j] + products.w;
        }
      }
    }
    [[unroll]] for (uint j = 0; j < kGroups; j++) sums[j] = sums[j] + chunk[j];
#else
    ChunkPlace place = PlaceChunk(group, first >> 3, count);
    ChunkNumbers numbers[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) numbers[j] =
        LoadNumbers(place, j * group_size, lane);
#if SUB_BLOCK == 0
    precise float chunk[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) chunk[j] = 0.0;
#else
    Folded folded[kGroups];
    [[unroll]] for (uint j = 0; j < kGroups; j++) folded[j] = Folded(0, 0.0);
#endif
    // Each lane has the numbers of one of the chunk's blocks.
    float lane_scale = XScale(row, first + lane);
    XSUMS lane_sums = LoadXSums(row, first + lane);
    for (uint b = 0; b < count; b++) {
      uvec4 mine = x[row_x + (first + b) * 2 + (lane >> 2)];
      FOUR four = FourSigned(mine[lane & 3u]);
      FOUR shared_x[8];
      [[unroll]] for (uint r = 0; r < 8; r++) shared_x[r] = subgroupShuffle(four, OctetPeer(r));
      float x_scale = subgroupShuffle(lane_scale, OctetPeer(b));
#if NEEDS_SUMS
      XSUMS x_sums = subgroupShuffle(lane_sums, OctetPeer(b));
#else
      XSUMS x_sums = lane_sums;
#endif
      [[unroll]] for (uint j = 0; j < kGroups; j++) {
        PackedBlock block = LoadBlock(place, b, j * group_size);
        precise SUM sum[SUB_BLOCKS];
#if SUB_BLOCK == 16
        sum[0] = SumStart(x_sums.x);
        sum[1] = SumStart(x_sums.y);
#else
        sum[0] = SumStart(x_sums);
#endif
        [[unroll]] for (uint r = 0; r < 8; r++)
          sum[r * SUB_BLOCKS / 8] = sum[r * SUB_BLOCKS / 8] + Dot(shared_x[r], FourOf(block, r));
#if SUB_BLOCK == 0
        chunk[j] = chunk[j] + BlockTerm(sum[0], BlockScale(numbers[j], b),
                                        BlockMinimum(numbers[j], b), x_sums, x_scale);
#else
        FoldBlock(folded[j], sum, numbers[j], b, x_sums);
#endif
      }
    }
#if SUB_BLOCK == 0
    [[unroll]] for (uint j = 0; j < kGroups; j++) sums[j] = sums[j] + chunk[j];
#else
    [[unroll]] for (uint j = 0; j < kGroups; j++) sums[j] =
        sums[j] + ChunkTerm(folded[j], numbers[j], lane_scale);
#endif
#endif
  }
  [[unroll]] for (uint j = 0; j < kGroups; j++) {
    uint output_index = tile.first_output + j * 8 + lane;
    if (output_index < tile.segment.outputs)
      results[tile.segment.results_offset + row * tile.segment.stride + output_index] =
          ExactSnap(sums[j]);
  }
}
