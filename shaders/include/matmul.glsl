// What both matrix products share: up to three matrices of one type and width are multiplied by the
// same rows in one dispatch, each a segment of the x axis.
//
// WEIGHTS 0: F32, 1: F16, 2: Q8_0, in the layouts of engine/vulkan/weight_layout.h.
// Bindings: 0 activations (int8 words for Q8_0, fp32 otherwise), 1 their scales (Q8_0), 2 weights,
// 3 results. Offsets in elements of the binding's type.
layout(constant_id = 1) const uint kGroups =
    4;  // groups of eight outputs in a tile: 32 outputs, four a lane

#if WEIGHTS == 2
layout(std430, binding = 0) readonly buffer X {
  uvec4 x[];
};
#else
layout(std430, binding = 0) readonly buffer X {
  vec4 x[];
};
#endif
layout(std430, binding = 1) readonly buffer XScales {
  float x_scales[];
};
layout(std430, binding = 2) readonly buffer Weights {
  uvec4 weights[];
};
layout(std430, binding = 3) writeonly buffer Results {
  float results[];
};

struct Segment {
  uint tile_end;  // in the x axis
  uint weights_offset;
  uint results_offset;
  uint outputs;
  uint stride;  // of the results
};

layout(push_constant) uniform Arguments {
  uint rows;
  uint blocks;    // of 32 columns
  uint x_stride;  // elements of the binding's type
  uint scale_stride;
  uint x_offset;
  uint scales_offset;
  Segment segments[3];
} args;

struct Tile {
  Segment segment;
  uint first_output;
  bool exists;
};

Tile FindTile(uint index) {
  Tile tile;
  tile.exists = !PastEnd(index, args.segments[2].tile_end);
  tile.segment = args.segments[0];
  uint begin = 0;
  if (index >= args.segments[0].tile_end) {
    begin = args.segments[0].tile_end;
    tile.segment = args.segments[1];
  }
  if (index >= args.segments[1].tile_end) {
    begin = args.segments[1].tile_end;
    tile.segment = args.segments[2];
  }
  tile.first_output = (index - begin) * 32;
  return tile;
}

// uvec4 elements of a group of eight outputs.
uint GroupSize() {
#if WEIGHTS == 0
  return args.blocks * 64;
#elif WEIGHTS == 1
  return args.blocks * 32;
#else
  return args.blocks * 16 + ((args.blocks + 7) >> 3) * 8;
#endif
}

#if WEIGHTS == 2
#if PACKED_DOT
// SPV_KHR_integer_dot_product is core in SPIR-V 1.6 only; glslc has no GLSL for it.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [ 6018, 6019 ],
                  id = 4450) int PackedDot(int a, int b, spirv_literal int format);
#define FOUR int
#define SUM int
FOUR Four(uint word) {
  return int(word);
}
SUM Dot(FOUR a, FOUR b) {
  return PackedDot(a, b, 0);
}
float SumToFloat(SUM sum) {
  return ExactFloat(sum);
}
#else
// Products of int8 are integers and a sum of 32 stays below 2^24, so fp32 is exact in any order.
#define FOUR vec4
#define SUM float
FOUR Four(uint word) {
  return vec4(UnpackBytes(word));
}
SUM Dot(FOUR a, FOUR b) {
  return dot(a, b);
}
float SumToFloat(SUM sum) {
  return sum;
}
#endif

// The fp16 scale of block `b` of a chunk, whose eight are in one element.
float WeightScale(uvec4 halves, uint b) {
  uint word = b < 4 ? (b < 2 ? halves.x : halves.y) : (b < 6 ? halves.z : halves.w);
  return ExactHalf((b & 1u) == 0u ? word & 0xFFFFu : word >> 16);
}
#else
// Four columns of weights: `r` counts them inside a block, 0 … 7.
vec4 FourWeights(uvec4 element, uint r) {
#if WEIGHTS == 0
  return uintBitsToFloat(element);
#else
  uvec2 four = (r & 1u) == 0u ? element.xy : element.zw;
  return vec4(ExactHalf(four.x & 0xFFFFu), ExactHalf(four.x >> 16), ExactHalf(four.y & 0xFFFFu),
              ExactHalf(four.y >> 16));
#endif
}
#endif
