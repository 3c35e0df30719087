// Kernels for processors with AVX-512 and its int8 dot product (VNNI).
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

#define KERNEL [[gnu::target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]]

constexpr std::string_view kSetName = "AVX-512 VNNI";
constexpr std::uint32_t kLanes = 16;
constexpr std::uint32_t kTileRows = 8;

using Floats = __m512;
using Ints = __m512i;
using Bytes = __m512i;
using Quads = __m512i;

KERNEL inline Floats Zero() {
  return _mm512_setzero_ps();
}
KERNEL inline Floats Set(float x) {
  return _mm512_set1_ps(x);
}
KERNEL inline Floats Load(const float* x) {
  return _mm512_loadu_ps(x);
}
KERNEL inline void Store(float* x, Floats values) {
  _mm512_storeu_ps(x, values);
}
KERNEL inline Floats Plus(Floats a, Floats b) {
  return _mm512_add_ps(a, b);
}
KERNEL inline Floats Minus(Floats a, Floats b) {
  return _mm512_sub_ps(a, b);
}
KERNEL inline Floats Times(Floats a, Floats b) {
  return _mm512_mul_ps(a, b);
}
KERNEL inline Floats Larger(Floats a, Floats b) {
  return _mm512_max_ps(a, b);
}
KERNEL inline Floats Snapped(Floats x) {
  const __m512i magnitude = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7FFFFFFF));
  return _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(magnitude, _mm512_set1_epi32(EXACT_SNAP_BITS)),
                             x);
}

KERNEL inline Ints SetInts(std::int32_t value) {
  return _mm512_set1_epi32(value);
}
KERNEL inline Ints AddInts(Ints a, Ints b) {
  return _mm512_add_epi32(a, b);
}
KERNEL inline Ints TimesInts(Ints a, Ints b) {
  return _mm512_mullo_epi32(a, b);
}
KERNEL inline Floats ToFloats(Ints sum) {
  return _mm512_cvtepi32_ps(sum);
}
KERNEL inline Ints WidenToInts(const std::int8_t* bytes) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}
KERNEL inline Ints WidenToInts(const std::uint8_t* bytes) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}
KERNEL inline Ints Pairs(Ints low, Ints high) {
  return _mm512_mask_blend_epi16(0xAAAAAAAA, low, _mm512_slli_epi32(high, 16));
}
KERNEL inline Ints AddPairDot(Ints sum, Ints pairs, std::int32_t two_values) {
  return _mm512_dpwssd_epi32(sum, pairs, _mm512_set1_epi32(two_values));
}

KERNEL inline Bytes LoadBytes(const std::uint8_t* bytes) {
  return _mm512_loadu_si512(bytes);
}
KERNEL inline Bytes LowNibbles(Bytes bytes) {
  return _mm512_and_si512(bytes, _mm512_set1_epi8(15));
}
KERNEL inline Bytes HighNibbles(Bytes bytes) {
  return _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi8(15));
}
template <std::uint32_t kCount, std::uint32_t kShift>
KERNEL inline Bytes WithHighBits(Bytes low, Bytes high) {
  if constexpr (kShift < 4) high = _mm512_slli_epi16(high, 4 - kShift);
  if constexpr (kShift > 4) high = _mm512_srli_epi16(high, kShift - 4);
  const Bytes mask = _mm512_set1_epi8(((1 << kCount) - 1) << 4);
  return _mm512_ternarylogic_epi32(low, high, mask, 0xF8);  // low | (high & mask)
}
KERNEL inline Ints AddDot(Ints sum, Bytes bytes, std::int32_t four_values) {
  return _mm512_dpbusd_epi32(sum, bytes, _mm512_set1_epi32(four_values));
}
KERNEL inline Ints AddTwoDots(Ints sum, Bytes first, std::int32_t first_values, Bytes second,
                              std::int32_t second_values) {
  return AddDot(AddDot(sum, first, first_values), second, second_values);
}
// The 128 is taken off where the sum starts. No step can saturate.
KERNEL inline Quads LoadQuads(const std::uint8_t* quads) {
  return LoadBytes(quads);
}
KERNEL inline Ints StartByteDot(std::int32_t sum) {
  return SetInts(-128 * sum);
}

KERNEL inline Floats WidenHalves(const std::uint16_t* halves) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}
KERNEL inline Floats WidenBfloats(const std::uint16_t* values) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
KERNEL inline Floats WidenBytes(const std::int8_t* bytes) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))));
}

#include "engine/cpu/vector_kernels.inc"

}  // namespace

const KernelSet* Avx512Kernels() {
  const bool can_run = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512vnni");
  return can_run ? &kKernels : nullptr;
}

}  // namespace fallow::engine

#else

const fallow::engine::KernelSet* fallow::engine::Avx512Kernels() {
  return nullptr;
}

#endif
