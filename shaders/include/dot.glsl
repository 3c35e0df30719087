// Dot products of int8: four values in a FOUR, their sums in a SUM, which is exact either way.
//
// PACKED_DOT 0: products of int8 are integers, and sums of them below 2^24 are exact in fp32, in
// any order. PACKED_DOT 1: one instruction for four.
#if PACKED_DOT
// SPV_KHR_integer_dot_product is core in SPIR-V 1.6 only; glslc has no GLSL for it.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [ 6018, 6019 ],
                  id = 4450) int PackedDot(int a, int b, spirv_literal int format);
#define FOUR int
#define SUM int
FOUR FourSigned(uint word) {
  return int(word);
}
FOUR FourUnsigned(uint word) {  // each below 128
  return int(word);
}
FOUR FourOfIntegers(ivec4 integers) {
  return int(PackBytes(integers));
}
SUM Dot(FOUR a, FOUR b) {
  return PackedDot(a, b, 0);
}
float SumToFloat(SUM sum) {
  return ExactFloat(sum);
}
int SumToInt(SUM sum) {
  return sum;
}
#else
#define FOUR vec4
#define SUM float
FOUR FourSigned(uint word) {
  return vec4(UnpackBytes(word));
}
FOUR FourUnsigned(uint word) {
  return vec4(UnpackUnsignedBytes(word));
}
FOUR FourOfIntegers(ivec4 integers) {
  return vec4(integers);
}
SUM Dot(FOUR a, FOUR b) {
  return dot(a, b);
}
float SumToFloat(SUM sum) {
  return sum;
}
int SumToInt(SUM sum) {
  return int(sum);
}
#endif
