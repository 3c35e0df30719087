// Kernels for processors with AVX2.
#include "engine/cpu/kernel_set.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "engine/cpu/row_bodies.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

#define KERNEL [[gnu::target("avx2,f16c")]]

constexpr std::string_view kSetName = "AVX2";
constexpr std::uint32_t kLanes = 8;
constexpr std::uint32_t kTileRows = 4;

using Floats = __m256;
using Ints = __m256i;

using Bytes = __m256i;

// The instruction multiplies unsigned by signed bytes and adds pairs in 16 bits, where 255 * 127 *
// 2 would saturate. Magnitudes of values (at most 128) times values that carry their signs stay
// below 2^15, as do two sums of pairs of bytes below 64: 63 * 127 * 4 = 32,004.
struct Quads {
  __m256i signs;
  __m256i magnitudes;
};

KERNEL inline Floats Zero() {
  return _mm256_setzero_ps();
}
KERNEL inline Floats Set(float x) {
  return _mm256_set1_ps(x);
}
KERNEL inline Floats Load(const float* x) {
  return _mm256_loadu_ps(x);
}
KERNEL inline void Store(float* x, Floats values) {
  _mm256_storeu_ps(x, values);
}
KERNEL inline Floats Plus(Floats a, Floats b) {
  return _mm256_add_ps(a, b);
}
KERNEL inline Floats Minus(Floats a, Floats b) {
  return _mm256_sub_ps(a, b);
}
KERNEL inline Floats Times(Floats a, Floats b) {
  return _mm256_mul_ps(a, b);
}
KERNEL inline Floats Larger(Floats a, Floats b) {
  return _mm256_max_ps(a, b);
}
KERNEL inline Floats Snapped(Floats x) {
  const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF));
  const __m256i small = _mm256_cmpgt_epi32(_mm256_set1_epi32(EXACT_SNAP_BITS), magnitude);
  return _mm256_andnot_ps(_mm256_castsi256_ps(small), x);
}

KERNEL inline Ints SetInts(std::int32_t value) {
  return _mm256_set1_epi32(value);
}
KERNEL inline Ints AddInts(Ints a, Ints b) {
  return _mm256_add_epi32(a, b);
}
KERNEL inline Ints TimesInts(Ints a, Ints b) {
  return _mm256_mullo_epi32(a, b);
}
KERNEL inline Floats ToFloats(Ints sum) {
  return _mm256_cvtepi32_ps(sum);
}
KERNEL inline Ints WidenToInts(const std::int8_t* bytes) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
}
KERNEL inline Ints WidenToInts(const std::uint8_t* bytes) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
}
KERNEL inline Ints Pairs(Ints low, Ints high) {
  return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xAA);
}
KERNEL inline Ints AddPairDot(Ints sum, Ints pairs, std::int32_t two_values) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi32(two_values)));
}

KERNEL inline Bytes LoadBytes(const std::uint8_t* bytes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
}
KERNEL inline Bytes LowNibbles(Bytes bytes) {
  return _mm256_and_si256(bytes, _mm256_set1_epi8(15));
}
KERNEL inline Bytes HighNibbles(Bytes bytes) {
  return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
}
template <std::uint32_t kCount, std::uint32_t kShift>
KERNEL inline Bytes WithHighBits(Bytes low, Bytes high) {
  if constexpr (kShift < 4) high = _mm256_slli_epi16(high, 4 - kShift);
  if constexpr (kShift > 4) high = _mm256_srli_epi16(high, kShift - 4);
  const Bytes mask = _mm256_set1_epi8(((1 << kCount) - 1) << 4);
  return _mm256_or_si256(low, _mm256_and_si256(high, mask));
}
KERNEL inline Ints AddShorts(Ints sum, __m256i shorts) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1)));
}
KERNEL inline Ints AddTwoDots(Ints sum, Bytes first, std::int32_t first_values, Bytes second,
                              std::int32_t second_values) {
  return AddShorts(sum, _mm256_add_epi16(_mm256_maddubs_epi16(first, SetInts(first_values)),
                                         _mm256_maddubs_epi16(second, SetInts(second_values))));
}
KERNEL inline Quads LoadQuads(const std::uint8_t* quads) {
  const __m256i values = _mm256_xor_si256(LoadBytes(quads), _mm256_set1_epi8(-128));
  return {values, _mm256_abs_epi8(values)};
}
KERNEL inline Ints StartByteDot(std::int32_t) {
  return SetInts(0);
}
KERNEL inline Ints AddDot(Ints sum, const Quads& quads, std::int32_t four_values) {
  const __m256i values = _mm256_sign_epi8(SetInts(four_values), quads.signs);
  return AddShorts(sum, _mm256_maddubs_epi16(quads.magnitudes, values));
}

KERNEL inline Floats WidenHalves(const std::uint16_t* halves) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}
KERNEL inline Floats WidenBfloats(const std::uint16_t* values) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
KERNEL inline Floats WidenBytes(const std::int8_t* bytes) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes))));
}

#include "engine/cpu/vector_kernels.inc"

}  // namespace

const KernelSet* Avx2Kernels() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c") ? &kKernels : nullptr;
}

}  // namespace fallow::engine

#else

const fallow::engine::KernelSet* fallow::engine::Avx2Kernels() {
  return nullptr;
}

#endif
