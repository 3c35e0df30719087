#include "engine/cpu/step_program.h"

namespace fallow::engine {
namespace {

std::uint64_t WeightBytes(const Op& op) {
  return op.kind == OpKind::kMatMul ? op.weights->bytes() : 0;
}

}  // namespace

void StepProgram::Clear() {
  source_rows.clear();
  ops.clear();
  segments.clear();
}

bool StepProgram::StartsSegment(const Op& op) const {
  if (segments.empty()) return true;
  const Segment& last = segments.back();
  if (op.rows != last.rows || op.kind == OpKind::kGatherRows) return true;
  if (last.weight_bytes > 0 && last.weight_bytes + WeightBytes(op) > kCachedWeightBytes)
    return true;
  for (std::uint32_t i = last.first_op; i < last.end_op; ++i) {
    // Gathering reads other rows; so does attention, of the cache that other rows of its sequence
    // fill.
    if (ops[i].kind == OpKind::kGatherRows) return true;
    const bool store_meets_attention =
        (ops[i].kind == OpKind::kStoreKv && op.kind == OpKind::kAttention) ||
        (ops[i].kind == OpKind::kAttention && op.kind == OpKind::kStoreKv);
    const bool same_cache = ops[i].attention.cache.base.keys == op.attention.cache.base.keys;
    if (store_meets_attention && same_cache && !rows.rows_are_strangers()) return true;
  }
  return false;
}

void StepProgram::Append(const Op& op) {
  const auto place = static_cast<std::uint32_t>(ops.size());
  if (StartsSegment(op)) segments.push_back({.first_op = place, .end_op = place, .rows = op.rows});
  ops.push_back(op);
  segments.back().end_op = place + 1;
  segments.back().weight_bytes += WeightBytes(op);
}

}  // namespace fallow::engine
