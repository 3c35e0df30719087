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
  return {single ? 1u : 0u,
          quantise ? 1u : 0u,
          RoundUp(arguments.head_size, kQuantBlock) / kQuantBlock,
          HeadsTogether(arguments),
          arguments.head_size % kQuantBlock == 0 ? 1u : 0u,
          arguments.cap != 0 ? 1u : 0u};
}

double AttentionWork(const AttentionArguments& arguments, std::uint32_t rows,
                     std::uint64_t positions) {
  return 2 * kMultiplyAddNs * arguments.heads * RoundUp(arguments.head_size, kQuantBlock) * rows *
         static_cast<double>(positions);
}

// Partials of a row of `chunks` chunks.
PartialBytes RowPartials(std::uint32_t heads, std::uint32_t head_size, std::uint32_t chunks) {
  const std::uint64_t parts = std::uint64_t{heads} * chunks;
  return {.values = parts * RoundUp(head_size, kQuantBlock) * sizeof(float),
          .sums = parts * 2 * sizeof(float)};
}

// Rows whose partials are kept at once.
std::uint32_t RowsAtOnce(const PartialBytes& row, std::uint64_t most_bytes, std::uint32_t rows) {
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(most_bytes / row.values, 1, std::max(rows, 1u)));
}

}  // namespace

// Fewer chunks a row let more rows be kept at once, but never more bytes than this.
PartialBytes StepBuilder::MostPartialBytes(const AttentionShape& shape, std::uint32_t rows,
                                           std::uint32_t pages_per_row) {
  if (pages_per_row <= 1 || rows == 0) return {};
  const PartialBytes row = RowPartials(shape.head_count, shape.head_size, pages_per_row);
  const std::uint64_t values = std::min(row.values * rows, std::max(row.values, kMaxPartialBytes));
  return {.values = values, .sums = (values * row.sums + row.values - 1) / row.values};
}

void StepBuilder::Attention(const VulkanTensor& q, const VulkanKvCache& cache,
                            const AttentionShape& shape, VulkanTensor& out) {
  FALLOW_CHECK(shape.kv_head_count == cache.shape().kv_head_count &&
               shape.head_size == cache.shape().head_size);
  FALLOW_CHECK(shape.head_count % shape.kv_head_count == 0);
  FALLOW_CHECK(q.columns() == shape.head_count * shape.head_size && out.columns() == q.columns());
  if (!HoldsPages(cache) || row_count() == 0) return;
  const std::uint32_t divisor = shape.scale_divisor != 0 ? shape.scale_divisor : shape.head_size;
  const AttentionArguments arguments{
      .heads = shape.head_count,
      .heads_per_kv_head = shape.head_count / shape.kv_head_count,
      .head_size = shape.head_size,
      .stride = q.stride(),
      .pages_per_row = places_.pages_per_row(),
      .chunks = places_.Seen(shape.window).chunks,
      .window = shape.window,
      .query_factor = ExactRsqrt(ExactFloatWide(static_cast<std::int32_t>(divisor))),
      .cap = shape.softcap,
      .inverse_cap = shape.softcap != 0 ? 1.0f / shape.softcap : 0.0f,
      .q_offset = Words(q.memory()),
      .positions_offset = places_.positions_offset(),
      .last_seen_offset = places_.last_seen_offset(),
      .pages_offset = places_.pages_offset(),
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
  const bool quantise =
      FormToWrite(out) == ActivationForm::kInt8Per32 && arguments.head_size % kQuantBlock == 0;
  Dispatch* dispatch =
      Append(AttentionKernel(), AttentionConstants(arguments, kChunkIsAll, quantise));
  if (dispatch == nullptr) return;
  AttentionArguments own = arguments;
  BindAttention(*dispatch, q, cache);
  Writes(*dispatch, 3, out.memory());
  Wrote(out);
  if (quantise)
    own.form = WritesForm(*dispatch, out, ActivationForm::kInt8Per32, {7, 8}, row_count());
  SetArguments(*dispatch, own);
  dispatch->grid = {OctetGroups(own.heads / HeadsTogether(own)), row_count(), 1};
  dispatch->work += AttentionWork(own, row_count(), places_.Seen(own.window).positions);
}

void StepBuilder::AttentionInChunks(const VulkanTensor& q, const VulkanKvCache& cache,
                                    const AttentionArguments& arguments, VulkanTensor& out) {
  const PartialBytes row = RowPartials(arguments.heads, arguments.head_size, arguments.chunks);
  const std::uint32_t rows_at_once =
      RowsAtOnce(row, std::min(kMaxPartialBytes, plan_.max_range_bytes), row_count());
  if (!EnsurePartials({row.values * rows_at_once, row.sums * rows_at_once})) return;
  const std::uint64_t positions = places_.Seen(arguments.window).positions;
  for (std::uint32_t first = 0; first < row_count(); first += rows_at_once) {
    const std::uint32_t rows = std::min(rows_at_once, row_count() - first);
    Dispatch* dispatch =
        Append(AttentionKernel(), AttentionConstants(arguments, kChunkIsPart, false));
    if (dispatch == nullptr) return;
    AttentionArguments own = arguments;
    own.first_row = first;
    own.partial_values_offset = Vectors(partial_values_);
    own.partial_sums_offset = partial_sums_.ElementOffset(8);
    BindAttention(*dispatch, q, cache);
    Writes(*dispatch, 7, partial_values_);
    Writes(*dispatch, 8, partial_sums_);
    SetArguments(*dispatch, own);
    dispatch->grid = {OctetGroups(own.heads / HeadsTogether(own)), rows, own.chunks};
    dispatch->work += AttentionWork(own, rows, positions);
    JoinChunks(own, cache.blocks(), rows, out);
  }
  Wrote(out);
}

void StepBuilder::JoinChunks(const AttentionArguments& arguments, std::uint32_t blocks,
                             std::uint32_t rows, VulkanTensor& out) {
  Dispatch* dispatch = Append("attention_join", {0, 0, blocks});
  if (dispatch == nullptr) return;
  dispatch->blocks[2] = kStepBlock;
  Writes(*dispatch, 3, out.memory());
  Reads(*dispatch, 7, partial_values_);
  Reads(*dispatch, 8, partial_sums_);
  SetArguments(*dispatch, AttentionJoinArguments{.heads = arguments.heads,
                                                 .head_size = arguments.head_size,
                                                 .stride = arguments.stride,
                                                 .first_row = arguments.first_row,
                                                 .chunks = arguments.chunks,
                                                 .window = arguments.window,
                                                 .positions_offset = arguments.positions_offset,
                                                 .last_seen_offset = arguments.last_seen_offset,
                                                 .result_offset = arguments.result_offset,
                                                 .values_offset = Vectors(partial_values_),
                                                 .sums_offset = partial_sums_.ElementOffset(8)});
  dispatch->grid = {OctetGroups(arguments.heads), rows, 1};
  dispatch->work += kElementNs * arguments.heads * arguments.chunks * blocks * kQuantBlock * rows;
}

bool StepBuilder::EnsurePartials(const PartialBytes& bytes) {
  const auto ensure = [&](MemoryRange& memory, std::uint64_t size) {
    if (memory.size() >= size) return true;
    memory = {};
    auto range = memory_.Allocate(MemoryKind::kDevice, size, "partial results of attention");
    if (!range.has_value()) {
      FailStep(range.error());
      return false;
    }
    memory = *std::move(range);
    return true;
  };
  return ensure(partial_values_, bytes.values) && ensure(partial_sums_, bytes.sums);
}

}  // namespace fallow::engine
