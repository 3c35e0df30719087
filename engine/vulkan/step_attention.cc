// Attention as dispatches: in one for sequences within a page, else by chunks that are joined.
#include <algorithm>

#include "base/check.h"
#include "engine/exact.h"
#include "engine/vulkan/step_builder.h"

namespace fallow::engine {
namespace {

// Partial results of attention that are kept at once.
constexpr std::uint64_t kMaxPartialBytes = std::uint64_t{32} << 20;

void BindAttention(Dispatch& dispatch, const VulkanTensor& q, const VulkanKvCache& cache) {
  Reads(dispatch, 0, q.memory());
  Reads(dispatch, 1, cache.keys);
  dispatch.blocks[2] = kStepBlock;
  Reads(dispatch, 4, cache.values);
  Reads(dispatch, 5, cache.key_scales);
  Reads(dispatch, 6, cache.value_scales);
}

// Heads that share a key head are computed together where registers last.
std::uint32_t HeadsTogether(const AttentionArguments& arguments) {
  return arguments.heads_per_kv_head % 2 == 0 && arguments.head_size <= 64 ? 2 : 1;
}

constexpr bool kChunkIsAll = true;
constexpr bool kChunkIsPart = false;

KernelConstants AttentionConstants(const AttentionArguments& arguments, bool single,
                                   bool quantise) {
  return {single ? 1u : 0u, quantise ? 1u : 0u,
          RoundUp(arguments.head_size, kQuantBlock) / kQuantBlock, HeadsTogether(arguments),
          arguments.head_size % kQuantBlock == 0 ? 1u : 0u};
}

double AttentionWork(const AttentionArguments& arguments, std::uint32_t rows,
                     std::uint32_t positions) {
  return 2 * kMultiplyAddNs * arguments.heads * RoundUp(arguments.head_size, kQuantBlock) * rows *
         positions;
}

}  // namespace

void StepBuilder::Attention(const VulkanTensor& q, const VulkanKvCache& cache,
                            const AttentionShape& shape, VulkanTensor& out) {
  FALLOW_CHECK(shape.kv_head_count == cache.shape().kv_head_count &&
               shape.head_size == cache.shape().head_size);
  FALLOW_CHECK(shape.head_count % shape.kv_head_count == 0);
  FALLOW_CHECK(q.columns() == shape.head_count * shape.head_size && out.columns() == q.columns());
  if (!HoldsPages(cache) || row_count() == 0) return;
  const AttentionArguments arguments{
      .heads = shape.head_count,
      .heads_per_kv_head = shape.head_count / shape.kv_head_count,
      .head_size = shape.head_size,
      .stride = q.stride(),
      .scale_stride = out.scale_stride(),
      .pages_per_row = pages_per_row_,
      .chunks = max_position_ / kPagePositions + 1,
      .query_factor = ExactRsqrt(ExactFloatWide(static_cast<std::int32_t>(shape.head_size))),
      .q_offset = Words(q.memory()),
      .positions_offset = positions_offset_,
      .pages_offset = pages_offset_,
      .result_offset = Words(out.memory()),
      .keys_offset = Vectors(cache.keys),
      .values_offset = Vectors(cache.values),
      .key_scales_offset = Words(cache.key_scales),
      .value_scales_offset = Words(cache.value_scales)};
  if (arguments.chunks == 1)
    AttentionInOne(q, cache, arguments, out);
  else
    AttentionInChunks(q, cache, arguments, out);
}

void StepBuilder::AttentionInOne(const VulkanTensor& q, const VulkanKvCache& cache,
                                 const AttentionArguments& arguments, VulkanTensor& out) {
  const bool quantise = static_cast<bool>(out.quantised) && arguments.head_size % kQuantBlock == 0;
  Dispatch* dispatch = Append("attention", AttentionConstants(arguments, kChunkIsAll, quantise));
  if (dispatch == nullptr) return;
  AttentionArguments own = arguments;
  BindAttention(*dispatch, q, cache);
  Writes(*dispatch, 3, out.memory());
  Wrote(out);
  if (quantise) {
    Writes(*dispatch, 7, out.quantised);
    Writes(*dispatch, 8, out.scales);
    own.words_offset = Words(out.quantised);
    own.scales_offset = Words(out.scales);
    WroteQuantised(out, row_count());
  }
  SetArguments(*dispatch, own);
  dispatch->grid = {OctetGroups(own.heads / HeadsTogether(own)), row_count(), 1};
  dispatch->work += AttentionWork(own, row_count(), max_position_ + 1);
}

void StepBuilder::AttentionInChunks(const VulkanTensor& q, const VulkanKvCache& cache,
                                    const AttentionArguments& arguments, VulkanTensor& out) {
  const std::uint64_t parts_per_row = std::uint64_t{arguments.heads} * arguments.chunks;
  const std::uint64_t value_bytes = parts_per_row * cache.blocks() * kQuantBlock * sizeof(float);
  const std::uint64_t sum_bytes = parts_per_row * 2 * sizeof(float);
  const auto rows_at_once = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      std::min(kMaxPartialBytes, plan_.max_range_bytes) / value_bytes, 1, row_count()));
  if (!EnsurePartials(value_bytes * rows_at_once, sum_bytes * rows_at_once)) return;
  for (std::uint32_t first = 0; first < row_count(); first += rows_at_once) {
    const std::uint32_t rows = std::min(rows_at_once, row_count() - first);
    Dispatch* dispatch = Append("attention", AttentionConstants(arguments, kChunkIsPart, false));
    if (dispatch == nullptr) return;
    AttentionArguments own = arguments;
    own.first_row = first;
    own.words_offset = Words(partial_values_);
    own.scales_offset = Words(partial_sums_);
    BindAttention(*dispatch, q, cache);
    Writes(*dispatch, 7, partial_values_);
    Writes(*dispatch, 8, partial_sums_);
    SetArguments(*dispatch, own);
    dispatch->grid = {OctetGroups(own.heads / HeadsTogether(own)), rows, own.chunks};
    dispatch->work += AttentionWork(own, rows, max_position_ + 1);

    dispatch = Append("attention_join", {0, 0, cache.blocks()});
    if (dispatch == nullptr) return;
    dispatch->blocks[2] = kStepBlock;
    Writes(*dispatch, 3, out.memory());
    Reads(*dispatch, 7, partial_values_);
    Reads(*dispatch, 8, partial_sums_);
    SetArguments(*dispatch, AttentionJoinArguments{.heads = own.heads,
                                                   .head_size = own.head_size,
                                                   .stride = own.stride,
                                                   .first_row = first,
                                                   .chunks = own.chunks,
                                                   .positions_offset = positions_offset_,
                                                   .result_offset = own.result_offset,
                                                   .values_offset = Vectors(partial_values_),
                                                   .sums_offset = partial_sums_.ElementOffset(8)});
    dispatch->grid = {OctetGroups(own.heads), rows, 1};
    dispatch->work += kElementNs * own.heads * own.chunks * cache.blocks() * kQuantBlock * rows;
  }
  Wrote(out);
}

bool StepBuilder::EnsurePartials(std::uint64_t value_bytes, std::uint64_t sum_bytes) {
  const auto ensure = [&](MemoryRange& memory, std::uint64_t bytes) {
    if (memory.size() >= bytes) return true;
    memory = {};
    auto range = memory_.Allocate(MemoryKind::kDevice, bytes, "partial results of attention");
    if (!range.has_value()) {
      FailStep(range.error());
      return false;
    }
    memory = *std::move(range);
    return true;
  };
  return ensure(partial_values_, value_bytes) && ensure(partial_sums_, sum_bytes);
}

}  // namespace fallow::engine
