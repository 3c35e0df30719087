// Kernels for processors with AVX-512 and its int8 dot product (VNNI).
#include "engine/cpu/kernel_set.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <limits>

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

// Weights lie in memory as value + 128. The offset is taken off where the sum starts: -128 times
// the sum of what the weights are multiplied by. No step can saturate.
KERNEL inline Quads LoadQuads(const std::uint8_t* quads) {
  return _mm512_loadu_si512(quads);
}
KERNEL inline Ints StartDot(std::int32_t block_sum) {
  return _mm512_set1_epi32(-128 * block_sum);
}
KERNEL inline Ints AddDot(Ints sum, Quads quads, std::int32_t four_values) {
  return _mm512_dpbusd_epi32(sum, quads, _mm512_set1_epi32(four_values));
}
KERNEL inline Floats ToFloats(Ints sum) {
  return _mm512_cvtepi32_ps(sum);
}
KERNEL inline Floats WidenHalves(const std::uint16_t* halves) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
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
