// A StepProgram is what a step has recorded: operators in data-flow order, cut into segments.
//
// Invariant: inside a segment row r of every operator depends, of what the segment writes, on row r
// alone. So a thread may take some rows through a whole segment, and threads need to meet only
// between segments. A segment's weights fit a core's own cache, or are those of one product.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cpu/cpu_storage.h"

namespace fallow::engine {

// Weights that stay in a core's own cache while it takes row after row through them.
inline constexpr std::uint64_t kCachedWeightBytes = 1 << 20;

enum class OpKind : std::uint8_t {
  kEmbed,
  kQuantise,
  kRmsNorm,
  kMatMul,
  kRope,
  kStoreKv,
  kAttention,
  kAdd,
  kSiluMul,
  kGatherRows
};

struct Op {
  OpKind kind = OpKind::kAdd;
  std::uint32_t rows = 0;
  const CpuTensor* x = nullptr;  // first input
  const CpuTensor* y = nullptr;  // second input: norm weight, rope table, values, up
  CpuTensor* out = nullptr;      // also what is changed in place
  const CpuMatrix* weights = nullptr;
  KvCacheView cache;
  std::uint32_t head_count = 0;  // per kv head for attention
  std::uint32_t head_size = 0;
  float epsilon = 0;
  std::uint32_t first_source_row = 0;  // of GatherRows, in source_rows
};

struct Segment {
  std::uint32_t first_op = 0;
  std::uint32_t end_op = 0;
  std::uint32_t rows = 0;
  std::uint64_t weight_bytes = 0;
};

struct StepProgram {
  std::vector<std::uint32_t> tokens;
  std::vector<std::uint32_t> positions;
  std::vector<std::uint32_t> pages;
  std::uint32_t pages_per_row = 0;
  bool one_row_each = false;  // no two rows belong to one sequence
  std::vector<std::uint32_t> source_rows;
  std::vector<Op> ops;
  std::vector<Segment> segments;

  const std::uint32_t* PagesOf(std::uint32_t row) const {
    return pages.data() + std::size_t{row} * pages_per_row;
  }
  void Clear();
  void Append(const Op& op);

 private:
  bool StartsSegment(const Op& op) const;
};

}  // namespace fallow::engine
