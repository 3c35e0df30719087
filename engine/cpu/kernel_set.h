// A KernelSet computes the contract's operators on rows in memory, in one way of one processor
// family.
//
// Invariant: all sets give the same bits (docs/ARITHMETIC.md). Each may keep weights and keys in
// its own layout. Threading: kernels are pure functions of their arguments; disjoint rows and
// outputs may be computed in parallel.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/backend.h"

namespace fallow::engine {

inline constexpr std::uint32_t kChunk =
    256;  // values or positions summed before the next level of the contract
inline constexpr std::uint32_t kRowGroup =
    16;  // outputs whose weights an interleaved layout keeps together
inline constexpr std::uint32_t kMaxHeadSize = 256;
inline constexpr float kLowestScore =
    -3.0e38f;  // where the search for attention's largest score starts

// Rows-major weights, or groups of 16 rows interleaved:
//   Q8_0  [group][block][8 quads][16 rows][4 values] as value + 128, scales [group][block][16 rows]
//   F16, F32  [group][column][16 rows]
enum class WeightLayout : std::uint8_t { kRows, kInterleaved };
// Keys by position, or 16 positions interleaved like weights: [block][16 groups][8 quads][16
// positions][4 values] as value + 128, scales [block][256 positions].
enum class KeyLayout : std::uint8_t { kRows, kInterleaved };

struct WeightsView {
  WeightType type = WeightType::kF32;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  const void* values = nullptr;   // int8 or uint8, fp16 bits, or fp32
  const float* scales = nullptr;  // Q8_0 only
};

// Activation rows: fp32, and for Q8_0 weights their int8 form.
struct RowsView {
  const float* values = nullptr;        // row r at r * columns
  const std::int8_t* quants = nullptr;  // row r at r * columns
  const float* scales = nullptr;        // row r at r * columns / 32
  const std::int32_t* sums = nullptr;   // of each block's quants, as scales
};

struct Range {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// One page of one kv head, or the place in it.
struct KvView {
  std::int8_t* keys = nullptr;    // 256 × padded head size
  float* key_scales = nullptr;    // 256 × blocks
  std::int8_t* values = nullptr;  // [position][padded head size]
  float* value_scales = nullptr;  // [position][blocks]
};

// A layer's cache: page p, head h at (p * kv_head_count + h) of each array.
struct KvCacheView {
  KvView base;
  std::uint32_t kv_head_count = 0;
  std::uint32_t head_size = 0;
  std::uint32_t block_count = 0;  // of a head: head_size / 32, rounded up

  std::uint32_t padded_head_size() const { return block_count * kQuantBlock; }
  KvView At(std::uint32_t page, std::uint32_t kv_head) const {
    const std::size_t place = (std::size_t{page} * kv_head_count + kv_head) * kPagePositions;
    return {base.keys + place * padded_head_size(), base.key_scales + place * block_count,
            base.values + place * padded_head_size(), base.value_scales + place * block_count};
  }
};

struct KernelSet {
  std::string_view name;
  WeightLayout weight_layout = WeightLayout::kRows;
  KeyLayout key_layout = KeyLayout::kRows;

  // int8 form of `count` values, a multiple of 32.
  void (*quantise)(const float* x, std::uint32_t count, std::int8_t* quants, float* scales,
                   std::int32_t* sums);
  // out[r * weights.rows + n] for r in `rows`, n in the row groups `groups` (of 16, the last may be
  // partial).
  void (*matmul)(const WeightsView& weights, const RowsView& x, Range rows, Range groups,
                 float* out);
  void (*rms_norm)(const float* x, const float* weight, std::uint32_t count, float epsilon,
                   float* out);
  // `table`: (cos, sin) pairs of the row's position.
  void (*rope)(float* x, const float* table, std::uint32_t head_size, std::uint32_t head_count);
  // One head's key and value at `place` of the page.
  void (*store_kv)(const float* key, const float* value, const KvCacheView& cache,
                   const KvView& page, std::uint32_t place);
  // One row, the query heads that share a kv head: q and out hold `head_count` heads. `pages` of
  // the row's sequence.
  void (*attention)(const float* q, const KvCacheView& cache, std::uint32_t kv_head,
                    std::uint32_t head_count, const std::uint32_t* pages, std::uint32_t position,
                    float* out);
  void (*add)(float* x, const float* y, std::size_t count);
  void (*silu_mul)(float* gate, const float* up, std::size_t count);
};

const KernelSet& PlainKernels();
// The best set this processor can run; PlainKernels() where there is none.
const KernelSet& BestKernels();
// Those this processor cannot run are null.
const KernelSet* Avx2Kernels();
const KernelSet* Avx512Kernels();

}  // namespace fallow::engine
