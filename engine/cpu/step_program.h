// A StepProgram is what a step has recorded: operators in data-flow order, cut into segments.
//
// Invariant: inside a segment row r of every operator depends, of what the segment writes, on row r
// alone. So a thread may take some rows through a whole segment, and threads need to meet only
// between segments. A segment's weights fit a core's own cache, or are those of one product.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cpu/cpu_storage.h"
#include "engine/cpu/step_rows.h"

namespace fallow::engine {

// Weights that stay in a core's own cache while it takes row after row through them.
inline constexpr std::uint64_t kCachedWeightBytes = 1 << 20;

enum class OpKind : std::uint8_t {
  kEmbed,
  kQuantise,
  kRmsNorm,
  kLayerNorm,
  kMatMul,
  kRope,
  kStoreKv,
  kAttention,
  kAdd,
  kAddRow,
  kScale,
  kSiluMul,
  kGeluMul,
  kGeluErf,
  kSoftcap,
  kGatherRows
};

struct Op {
  OpKind kind = OpKind::kAdd;
  std::uint32_t rows = 0;
  CpuTensor* x = nullptr;        // first input
  const CpuTensor* y = nullptr;  // second input: norm weight, rope table, values, up, row
  const CpuTensor* z = nullptr;  // third input: norm bias
  CpuTensor* out = nullptr;      // also what is changed in place
  const CpuMatrix* weights = nullptr;
  ActivationForm form = ActivationForm::kFloat;  // that Quantise makes
  EmbedBy embed_by = EmbedBy::kToken;
  RotaryShape rotary;
  AttentionTask attention;  // but for what is the row's own; StoreKv has its cache here too
  std::uint32_t window = 0;
  float number = 0;  // epsilon or factor
  ScoreCap cap;
  std::uint32_t first_source_row = 0;  // of GatherRows, in source_rows
};

struct Segment {
  std::uint32_t first_op = 0;
  std::uint32_t end_op = 0;
  std::uint32_t rows = 0;
  std::uint64_t weight_bytes = 0;
};

struct StepProgram {
  KeptStepRows rows;
  std::vector<std::uint32_t> source_rows;
  std::vector<Op> ops;
  std::vector<Segment> segments;

  // Forgets the operators, not the rows.
  void Clear();
  void Append(const Op& op);

 private:
  bool StartsSegment(const Op& op) const;
};

}  // namespace fallow::engine
