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
#include "engine/cpu/weight_planes.h"

namespace fallow::engine {

// Values or positions summed before the next level of the contract.
inline constexpr std::uint32_t kChunk = 256;
inline constexpr std::uint32_t kMaxHeadSize = 256;
// Where the search for attention's largest score starts.
inline constexpr float kLowestScore = -3.0e38f;

// Keys by position, or 16 positions interleaved like rows of 8-bit weights: [block][16 groups][8
// quads][16 positions][4 values] as value + 128, scales [block][256 positions].
enum class KeyLayout : std::uint8_t { kRows, kInterleaved };

// int8 forms of activations: values that share a scale, beside it and the sums that products need,
// so that one pointer a row finds all of them.
struct Int8Block32 {
  float scale;
  std::int32_t sum;
  std::int8_t quants[32];
};
struct Int8Block256 {
  float scale;
  std::int16_t sums[16];  // of 16 values each
  std::int8_t quants[256];
};

// Activation rows: fp32, and the int8 forms that there are.
struct RowsView {
  const float* values = nullptr;          // row r at r * columns
  const Int8Block32* per_32 = nullptr;    // row r at r * columns / 32
  const Int8Block256* per_256 = nullptr;  // row r at r * columns / 256
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

// score = cap * tanh(score / cap), or as it is.
struct ScoreCap {
  float cap = 0;  // 0: none
  float inverse = 0;
};

// What a row's queries do with a kv head's keys.
struct AttentionTask {
  KvCacheView cache;
  std::uint32_t kv_head = 0;
  std::uint32_t head_count = 0;  // query heads that share the kv head
  float factor = 1;              // of queries, before they become int8
  ScoreCap cap;
  // Positions seen, and the pages of the row's sequence, from position 0 on.
  const std::uint32_t* pages = nullptr;
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  // The places of chunk `chunk` that are seen. Chunks from first / 256 to last / 256 hold some.
  Range PlacesIn(std::uint32_t chunk) const {
    return {chunk == first / kChunk ? first % kChunk : 0,
            chunk == last / kChunk ? last % kChunk + 1 : kChunk};
  }
};

struct KernelSet {
  std::string_view name;
  WeightLayout weight_layout = WeightLayout::kRows;
  KeyLayout key_layout = KeyLayout::kRows;

  // int8 form of `count` values, whole blocks.
  void (*quantise_per_32)(const float* x, std::uint32_t count, Int8Block32* out);
  void (*quantise_per_256)(const float* x, std::uint32_t count, Int8Block256* out);
  // out[r * weights.rows + n] for r in `rows`, n in the row groups `groups` (of 16, the last may be
  // partial).
  void (*matmul)(const WeightsView& weights, const RowsView& x, Range rows, Range groups,
                 float* out);
  // `out` may be `x`.
  void (*rms_norm)(const float* x, const float* weight, std::uint32_t count, float epsilon,
                   float* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, std::uint32_t count,
                     float epsilon, float* out);
  // `table`: (cos, sin) pairs of the row's place.
  void (*rope)(float* x, const float* table, const RotaryShape& shape, std::uint32_t head_count);
  // One head's key and value at `place` of the page.
  void (*store_kv)(const float* key, const float* value, const KvCacheView& cache,
                   const KvView& page, std::uint32_t place);
  // One row: q and out hold the task's heads.
  void (*attention)(const float* q, const AttentionTask& task, float* out);
  void (*add)(float* x, const float* y, std::size_t count);
  void (*scale)(float* x, float factor, std::size_t count);
  void (*silu_mul)(float* gate, const float* up, std::size_t count);
  void (*gelu_mul)(float* gate, const float* up, std::size_t count);
  void (*gelu_erf)(float* x, std::size_t count);
  void (*softcap)(float* x, ScoreCap cap, std::size_t count);
};

const KernelSet& PlainKernels();
// The best set this processor can run; PlainKernels() where there is none.
const KernelSet& BestKernels();
// Those this processor cannot run are null.
const KernelSet* Avx2Kernels();
const KernelSet* Avx512Kernels();

}  // namespace fallow::engine
