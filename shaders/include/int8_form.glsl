// The int8 forms of a tensor's rows, as products read them.
//
// Words hold four values each, in the order of the columns. Numbers are fp32, for each row
//   per 32:  half a row of scales, one a block, then half a row of sums: of a block's integers
//   per 256: a scale for each chunk, then sums: of each 16 integers
// Sums are integers below 2^24, so exact. INT8_WORDS and INT8_NUMBERS are the bindings.
layout(std430, binding = INT8_WORDS) writeonly buffer Int8Words {
  uint int8_words[];
};
layout(std430, binding = INT8_NUMBERS) writeonly buffer Int8Numbers {
  float int8_numbers[];
};

// What a tensor has beside its values: kForm in kernels that can write it with them.
#define FORM_NONE 0
#define FORM_PER_32 1
#define FORM_PER_256 2

struct Int8Form {
  uint words_offset;
  uint word_stride;  // of a row
  uint numbers_offset;
  uint number_stride;
};

int LaneSum(ivec4 values) {
  return (values.x + values.y) + (values.z + values.w);
}

// Quantises a block of 32 values and stores it.
void StoreBlock(Int8Form form, uint row, uint block, vec4 values) {
  uint lane = OctetLane();
  QuantisedLane quantised = QuantiseOctet(values);
  int sum = LaneSum(quantised.values);
  sum += subgroupShuffleXor(sum, 4u);
  sum += subgroupShuffleXor(sum, 2u);
  sum += subgroupShuffleXor(sum, 1u);
  int8_words[form.words_offset + row * form.word_stride + block * 8 + lane] =
      PackBytes(quantised.values);
  uint at = form.numbers_offset + row * form.number_stride + block;
  if (lane == 0) int8_numbers[at] = quantised.scale;
  if (lane == 1) int8_numbers[at + (form.number_stride >> 1)] = float(sum);
}

// Stores the scale of a chunk of 256 whose largest magnitude, over the lane's values, has these
// bits, and gives its inverse.
float StoreChunkScale(Int8Form form, uint row, uint chunk, uint largest_bits) {
  float scale = ExactScale(OctetMaximum(largest_bits));
  if (OctetLane() == 0)
    int8_numbers[form.numbers_offset + row * form.number_stride + chunk] = scale;
  return ExactInverse(scale);
}

// Stores 32 values of a chunk whose scale's inverse this is.
void StoreOfChunk(Int8Form form, uint row, uint block, vec4 values, float inverse) {
  uint lane = OctetLane();
  ivec4 integers = Quantise4(values, inverse);
  int sum = LaneSum(integers);
  sum += subgroupShuffleXor(sum, 2u);
  sum += subgroupShuffleXor(sum, 1u);
  int8_words[form.words_offset + row * form.word_stride + block * 8 + lane] = PackBytes(integers);
  uint chunks = form.word_stride >> 6;
  if ((lane & 3u) == 0)
    int8_numbers[form.numbers_offset + row * form.number_stride + chunks + block * 2 +
                 (lane >> 2)] = float(sum);
}
