// The weights of one type as they lie in device memory (engine/vulkan/weight_layout.h), by macros
// that say what engine/weight_format.h says of the type:
//   float types:   FLOAT_BITS 32 or 16, and BFLOAT 1 where the 16 are the upper half of an fp32
//   integer types: FLOAT_BITS 0, LOW_BITS 4 or 8, HIGH_BITS 0, 1 or 2, ZERO, MINIMUM 0 or 1,
//                  SUB_BLOCK 0, 16 or 32
//
// A lane reads one output. Places count 16-byte elements, the output's place in its group included.
layout(std430, binding = 2) readonly buffer Weights {
  uvec4 weights[];
};
layout(std430, binding = 2) readonly buffer WeightWords {
  uint weight_words[];
};

#if FLOAT_BITS
#define BLOCK_ELEMENTS (FLOAT_BITS / 4)

uint GroupSize(uint blocks) {
  return blocks * (BLOCK_ELEMENTS * 8);
}

// The element that holds columns 4r … 4r+3 of a block.
uint PlaceFour(uint group, uint block, uint r) {
#if FLOAT_BITS == 32
  return group + (block * 8 + r) * 8;
#else
  return group + (block * 4 + (r >> 1)) * 8;
#endif
}

vec4 FourWeights(uvec4 element, uint r) {
#if FLOAT_BITS == 32
  return uintBitsToFloat(element);
#else
  uvec2 four = (r & 1u) == 0u ? element.xy : element.zw;
#if BFLOAT
  return uintBitsToFloat(
      uvec4(four.x << 16, four.x & 0xFFFF0000u, four.y << 16, four.y & 0xFFFF0000u));
#else
  return vec4(ExactHalf(four.x & 0xFFFFu), ExactHalf(four.x >> 16), ExactHalf(four.y & 0xFFFFu),
              ExactHalf(four.y >> 16));
#endif
#endif
}
#else
#define LOW_ELEMENTS (LOW_BITS / 4)
// Bytes of 8 bits hold q - ZERO, signed; those of fewer bits q, and ZERO is taken from the sums.
#define HAS_ZERO (LOW_BITS == 4 && ZERO != 0)
#define SUB_BLOCKS (SUB_BLOCK == 16 ? 2 : 1)  // of 32 columns
#define NUMBER_ELEMENTS (SUB_BLOCK == 0 ? 1 + MINIMUM : 1)
#define CHUNK_ELEMENTS                                          \
  (8 * (8 * LOW_ELEMENTS + 2 * HIGH_BITS + NUMBER_ELEMENTS) + \
   (SUB_BLOCK == 16 ? 1 : 0))

// Elements of the high bits of `count` blocks.
uint HighElements(uint count) {
#if HIGH_BITS == 0
  return 0;
#elif HIGH_BITS == 1
  return (count + 3) >> 2;
#else
  return (count + 1) >> 1;
#endif
}

uint GroupSize(uint blocks) {
  uint size = (blocks >> 3) * CHUNK_ELEMENTS;
#if SUB_BLOCK == 0
  uint count = blocks & 7u;
  if (count != 0) size += 8 * (count * LOW_ELEMENTS + HighElements(count) + NUMBER_ELEMENTS);
#endif
  return size;
}

// Where the parts of a chunk of `count` blocks lie.
struct ChunkPlace {
  uint low;
  uint high;
  uint numbers;
};

ChunkPlace PlaceChunk(uint group, uint chunk, uint count) {
  ChunkPlace place;
  place.low = group + chunk * CHUNK_ELEMENTS;
  place.high = place.low + count * (LOW_ELEMENTS * 8);
  place.numbers = place.high + HighElements(count) * 8;
  return place;
}

// 32 weights of an output, packed.
struct PackedBlock {
  uvec4 low[LOW_ELEMENTS];
  uvec2 high;
};

// Of block b of a chunk, `groups` elements further on.
PackedBlock LoadBlock(ChunkPlace place, uint b, uint groups) {
  PackedBlock block;
  [[unroll]] for (uint i = 0; i < LOW_ELEMENTS; i++) block.low[i] =
      weights[place.low + groups + (b * LOW_ELEMENTS + i) * 8];
  block.high = uvec2(0);
#if HIGH_BITS == 1
  block.high.x = weight_words[(place.high + groups + (b >> 2) * 8) * 4 + (b & 3u)];
#elif HIGH_BITS == 2
  uint at = (place.high + groups + (b >> 1) * 8) * 4 + (b & 1u) * 2;
  block.high = uvec2(weight_words[at], weight_words[at + 1]);
#endif
  return block;
}

// The bytes of columns 4r … 4r+3.
uint FourBytes(PackedBlock block, uint r) {
#if LOW_BITS == 8
  return block.low[r >> 2][r & 3u];
#else
  uint low = block.low[0][r & 3u];
  uint bytes = (r < 4 ? low : low >> 4) & 0x0F0F0F0Fu;
#if HIGH_BITS == 1
  bytes |= ((block.high.x >> r) & 0x01010101u) << 4;
#elif HIGH_BITS == 2
  bytes |= (((r < 4 ? block.high.x : block.high.y) >> ((r & 3u) * 2)) & 0x03030303u) << 4;
#endif
  return bytes;
#endif
}

// q - ZERO of columns 4r … 4r+3.
ivec4 FourIntegers(PackedBlock block, uint r) {
#if LOW_BITS == 8
  return UnpackBytes(FourBytes(block, r));
#else
  return ivec4(UnpackUnsignedBytes(FourBytes(block, r))) - ZERO;
#endif
}

// What a chunk's weights are multiplied by: fp16 numbers of its blocks, or of the chunk with
// integers for its sub-blocks.
struct ChunkNumbers {
  uvec4 scales;
#if SUB_BLOCK == 0
  uvec4 minimums;
#elif SUB_BLOCK == 16
  uint scale;
#endif
};

// `member`: the output's place in its group.
ChunkNumbers LoadNumbers(ChunkPlace place, uint groups, uint member) {
  ChunkNumbers numbers;
  uint at = place.numbers + groups;
  numbers.scales = weights[at];
#if SUB_BLOCK == 0
  numbers.minimums = uvec4(0);
#if MINIMUM
  numbers.minimums = weights[at + 8];
#endif
#elif SUB_BLOCK == 16
  uint word = weight_words[(at + 8 - member) * 4 + (member >> 1)];
  numbers.scale = (member & 1u) == 0u ? word & 0xFFFFu : word >> 16;
#endif
  return numbers;
}

uint WordOf(uvec4 element, uint i) {
  return i < 2 ? (i < 1 ? element.x : element.y) : (i < 3 ? element.z : element.w);
}

// One of eight fp16 numbers.
float HalfOf(uvec4 element, uint b) {
  uint word = WordOf(element, b >> 1);
  return ExactHalf((b & 1u) == 0u ? word & 0xFFFFu : word >> 16);
}

#if SUB_BLOCK == 0
float BlockScale(ChunkNumbers numbers, uint b) {
  return HalfOf(numbers.scales, b);
}
float BlockMinimum(ChunkNumbers numbers, uint b) {
  return HalfOf(numbers.minimums, b);
}
#elif SUB_BLOCK == 16
float ChunkScale(ChunkNumbers numbers) {
  return ExactHalf(numbers.scale);
}
int SubScale(ChunkNumbers numbers, uint b, uint half_block) {
  uint word = WordOf(numbers.scales, b >> 1) >> ((b & 1u) * 16 + half_block * 8);
  return int(word << 24) >> 24;
}
#else
// The first word holds scale and minimum, the second the lower four bits of the sub-scales, the
// third those of the sub-minimums, the last the upper two of either.
float ChunkScale(ChunkNumbers numbers) {
  return ExactHalf(numbers.scales.x & 0xFFFFu);
}
float ChunkMinimum(ChunkNumbers numbers) {
  return ExactHalf(numbers.scales.x >> 16);
}
int SubScale(ChunkNumbers numbers, uint b, uint half_block) {
  return int(((numbers.scales.y >> (b * 4)) & 15u) | (((numbers.scales.w >> (b * 2)) & 3u) << 4));
}
int SubMinimum(ChunkNumbers numbers, uint b) {
  return int(((numbers.scales.z >> (b * 4)) & 15u) |
             (((numbers.scales.w >> (16 + b * 2)) & 3u) << 4));
}
#endif
#endif
