#include "engine/vulkan/step_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "engine/exact.h"
#include "engine/vulkan/weight_layout.h"

namespace fallow::engine {
namespace {

// Rows are a grid's y axis, of which every device has 65,535.
constexpr std::uint32_t kMaxStepRows = 65535;
// The join's loop is over the chunks of a row; their number is a grid's z axis too.
constexpr std::uint32_t kMaxChunks = kMaxLoopIterations;
// Partial results of attention that are kept at once.
constexpr std::uint64_t kMaxPartialBytes = std::uint64_t{32} << 20;
// Below this many rows a product for single rows is quicker than one for eight.
constexpr std::uint32_t kManyRows = 3;

// Nominal time, for slices: what a dispatch costs in itself, and a multiply-add or another
// operation in it.
constexpr double kDispatchNs = 12000;
constexpr double kMultiplyAddNs = 0.1;
constexpr double kElementNs = 2;

std::string_view EmbedKernel(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "embed_f32";
    case WeightType::kF16:
      return "embed_f16";
    case WeightType::kQ8_0:
      return "embed_q8_0";
  }
  FALLOW_UNREACHABLE();
}

std::string_view MatMulKernel(WeightType type, bool many, bool packed) {
  switch (type) {
    case WeightType::kF32:
      return many ? "matmul_many_f32" : "matmul_few_f32";
    case WeightType::kF16:
      return many ? "matmul_many_f16" : "matmul_few_f16";
    case WeightType::kQ8_0:
      if (packed) return many ? "matmul_many_q8_0_packed" : "matmul_few_q8_0_packed";
      return many ? "matmul_many_q8_0" : "matmul_few_q8_0";
  }
  FALLOW_UNREACHABLE();
}

template <class Arguments>
void SetArguments(Dispatch& dispatch, const Arguments& arguments) {
  static_assert(sizeof(Arguments) <= kMaxArgumentBytes);
  std::memcpy(dispatch.arguments.data(), &arguments, sizeof(arguments));
  dispatch.argument_bytes = sizeof(arguments);
}

template <class Arguments>
Arguments GetArguments(const Dispatch& dispatch) {
  Arguments arguments;
  std::memcpy(&arguments, dispatch.arguments.data(), sizeof(arguments));
  return arguments;
}

void Reads(Dispatch& dispatch, std::uint32_t binding, const MemoryRange& memory) {
  dispatch.blocks[binding] = memory.block();
  dispatch.uses.push_back({memory.block(), memory.offset(), false});
}
void Writes(Dispatch& dispatch, std::uint32_t binding, const MemoryRange& memory) {
  dispatch.blocks[binding] = memory.block();
  dispatch.uses.push_back({memory.block(), memory.offset(), true});
}

// Offsets of the usual element types.
std::uint32_t Words(const MemoryRange& memory) {
  return memory.ElementOffset(4);
}
std::uint32_t Vectors(const MemoryRange& memory) {
  return memory.ElementOffset(16);
}

}  // namespace

Status StepBuilder::Begin(const StepRows& rows, std::uint32_t page_count) {
  Clear();
  FALLOW_CHECK(rows.positions.size() == rows.count() &&
               rows.pages.size() == std::size_t{rows.count()} * rows.pages_per_row);
  if (rows.count() > kMaxStepRows)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a step of {} rows, the limit is {}", rows.count(), kMaxStepRows));
  if (rows.pages_per_row > kMaxChunks)
    return Fail(ErrorCode::kInvalidArgument, fmt::format("sequences of {} pages, the limit is {}",
                                                         rows.pages_per_row, kMaxChunks));
  row_count_ = rows.count();
  pages_per_row_ = rows.pages_per_row;
  max_position_ = max_token_ = max_page_ = 0;
  for (std::uint32_t r = 0; r < rows.count(); ++r) {
    const std::uint32_t last = rows.positions[r] / kPagePositions;
    const auto pages = rows.pages.subspan(std::size_t{r} * rows.pages_per_row, rows.pages_per_row);
    if (last >= rows.pages_per_row ||
        std::ranges::any_of(pages.first(last + 1),
                            [&](std::uint32_t page) { return page >= page_count; })) {
      Clear();
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("row {}: position {} is beyond its pages or the caches", r,
                              rows.positions[r]));
    }
    max_position_ = std::max(max_position_, rows.positions[r]);
    max_token_ = std::max(max_token_, rows.tokens[r]);
    max_page_ = std::max(max_page_, *std::ranges::max_element(pages.first(last + 1)));
  }
  tokens_offset_ = 0;
  positions_offset_ = row_count_;
  pages_offset_ = row_count_ * 2;
  step_words_.assign(rows.tokens.begin(), rows.tokens.end());
  step_words_.insert(step_words_.end(), rows.positions.begin(), rows.positions.end());
  step_words_.insert(step_words_.end(), rows.pages.begin(), rows.pages.end());
  return {};
}

void StepBuilder::Clear() {
  for (VulkanTensor* tensor : quantised_tensors_) tensor->quantised_rows = 0;
  quantised_tensors_.clear();
  dispatches_.clear();
  step_words_.clear();
  status_ = {};
  row_count_ = 0;
  last_ = Last::kOther;
}

void StepBuilder::Embed(const VulkanMatrix& table, VulkanTensor& out) {
  FALLOW_CHECK(table.columns() == out.columns() && row_count() <= out.rows());
  if (max_token_ >= table.rows()) {
    FailStep(ErrorCode::kInvalidArgument,
             fmt::format("token {} is beyond the table of {} rows", max_token_, table.rows()));
    return;
  }
  for (const MatrixPart& part : table.parts) {
    Dispatch* dispatch = Append(EmbedKernel(table.type()), {});
    if (dispatch == nullptr) return;
    Reads(*dispatch, 0, part.memory);
    dispatch->blocks[1] = kStepBlock;
    Writes(*dispatch, 3, out.memory());
    SetArguments(*dispatch, EmbedArguments{.first_token = part.first_row,
                                           .token_count = part.rows,
                                           .columns = table.columns(),
                                           .stride = out.stride(),
                                           .table_offset = Vectors(part.memory),
                                           .tokens_offset = tokens_offset_,
                                           .result_offset = Vectors(out.memory())});
    dispatch->grid = RowGrid(out.stride(), row_count());
    dispatch->work += kElementNs * out.stride() * row_count();
  }
  Wrote(out);
}

void StepBuilder::RmsNorm(const VulkanTensor& x, const VulkanTensor& weight, float epsilon,
                          VulkanTensor& out, std::uint32_t rows) {
  FALLOW_CHECK(x.columns() == out.columns() && x.columns() == weight.columns());
  FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
  const bool add = last_ == Last::kAdd && last_x_ == &x && last_rows_ == rows && last_y_ != &out;
  const VulkanTensor* y = add ? last_y_ : nullptr;
  if (add) dispatches_.pop_back();
  const bool quantise = static_cast<bool>(out.quantised);
  Dispatch* dispatch = Append("rmsnorm", {add ? 1u : 0u, quantise ? 1u : 0u, 0});
  if (dispatch == nullptr) return;
  const std::uint32_t count = x.columns();
  RmsNormArguments arguments{
      .rows = rows,
      .stride = x.stride(),
      .scale_stride = out.scale_stride(),
      .inverse_count = ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count))),
      .epsilon = epsilon,
      .x_offset = Vectors(x.memory()),
      .weight_offset = Vectors(weight.memory()),
      .result_offset = Vectors(out.memory())};
  if (add) {
    Writes(*dispatch, 0, x.memory());
    Reads(*dispatch, 1, y->memory());
    arguments.y_offset = Vectors(y->memory());
  } else {
    Reads(*dispatch, 0, x.memory());
  }
  Reads(*dispatch, 2, weight.memory());
  Writes(*dispatch, 3, out.memory());
  Wrote(out);
  if (quantise) {
    Writes(*dispatch, 4, out.quantised);
    Writes(*dispatch, 5, out.scales);
    arguments.quantised_offset = Words(out.quantised);
    arguments.scales_offset = Words(out.scales);
    out.quantised_rows = rows;
    quantised_tensors_.push_back(&out);
  }
  SetArguments(*dispatch, arguments);
  dispatch->grid = {OctetGroups(rows), 1, 1};
  dispatch->work += 2 * kElementNs * x.stride() * rows;
}

void StepBuilder::MatMul(const VulkanMatrix& weights, VulkanTensor& x, VulkanTensor& out,
                         std::uint32_t rows) {
  FALLOW_CHECK(weights.columns() == x.columns() && weights.rows() == out.columns());
  FALLOW_CHECK(rows <= x.rows() && rows <= out.rows() && &x != &out);
  if (rows == 0) return;
  if (weights.type() == WeightType::kQ8_0) EnsureQuantised(x, rows);
  if (!JoinMatMul(weights, x, out, rows))
    for (const MatrixPart& part : weights.parts) AppendMatMul(weights, part, x, out, rows);
  Wrote(out);
}

void StepBuilder::AppendMatMul(const VulkanMatrix& weights, const MatrixPart& part,
                               const VulkanTensor& x, VulkanTensor& out, std::uint32_t rows) {
  const bool int8 = weights.type() == WeightType::kQ8_0;
  const bool many = rows >= kManyRows;
  Dispatch* dispatch = Append(MatMulKernel(weights.type(), many, plan_.packed_dot), {4, 0, 0});
  if (dispatch == nullptr) return;
  MatMulArguments arguments{.rows = rows,
                            .blocks = x.blocks(),
                            .x_stride = int8 ? x.stride() / 16 : x.stride() / 4,
                            .scale_stride = x.scale_stride()};
  if (int8) {
    Reads(*dispatch, 0, x.quantised);
    Reads(*dispatch, 1, x.scales);
    arguments.x_offset = Vectors(x.quantised);
    arguments.scales_offset = Words(x.scales);
  } else {
    Reads(*dispatch, 0, x.memory());
    arguments.x_offset = Vectors(x.memory());
  }
  Reads(*dispatch, 2, part.memory);
  Writes(*dispatch, 3, out.memory());
  const std::uint32_t tiles = (part.rows + kTileOutputs - 1) / kTileOutputs;
  arguments.segments.fill({.tile_end = tiles,
                           .weights_offset = Vectors(part.memory),
                           .results_offset = Words(out.memory()) + part.first_row,
                           .outputs = part.rows,
                           .stride = out.stride()});
  SetArguments(*dispatch, arguments);
  dispatch->grid = {OctetGroups(tiles), many ? (rows + 7) / 8 : rows, 1};
  dispatch->work += kMultiplyAddNs * part.rows * x.stride() * rows;
  last_ = weights.parts.size() == 1 ? Last::kMatMul : Last::kOther;
  last_x_ = &x;
  last_type_ = weights.type();
  last_rows_ = rows;
  last_segments_ = 1;
}

// Makes the product one more segment of the dispatch before, when that multiplies the same rows.
bool StepBuilder::JoinMatMul(const VulkanMatrix& weights, const VulkanTensor& x,
                             const VulkanTensor& out, std::uint32_t rows) {
  if (last_ != Last::kMatMul || last_x_ != &x || last_type_ != weights.type() ||
      last_rows_ != rows || last_segments_ == kMaxSegments || weights.parts.size() != 1)
    return false;
  Dispatch& dispatch = dispatches_.back();
  const MatrixPart& part = weights.parts[0];
  if (dispatch.blocks[2] != part.memory.block() || dispatch.blocks[3] != out.memory().block())
    return false;
  const MemoryUse written{out.memory().block(), out.memory().offset(), true};
  for (const MemoryUse& use : dispatch.uses)
    if (use.block == written.block && use.offset == written.offset) return false;
  auto arguments = GetArguments<MatMulArguments>(dispatch);
  const std::uint32_t tiles = (part.rows + kTileOutputs - 1) / kTileOutputs;
  const MatMulSegment segment{.tile_end = arguments.segments.back().tile_end + tiles,
                              .weights_offset = Vectors(part.memory),
                              .results_offset = Words(out.memory()),
                              .outputs = part.rows,
                              .stride = out.stride()};
  for (std::size_t i = last_segments_; i < kMaxSegments; ++i) arguments.segments[i] = segment;
  last_segments_++;
  SetArguments(dispatch, arguments);
  dispatch.uses.push_back({part.memory.block(), part.memory.offset(), false});
  dispatch.uses.push_back(written);
  dispatch.grid[0] = OctetGroups(segment.tile_end);
  dispatch.work += kMultiplyAddNs * part.rows * x.stride() * rows;
  return true;
}

void StepBuilder::Rope(VulkanTensor& x, const VulkanTensor& table, std::uint32_t head_size) {
  FALLOW_CHECK(table.columns() == head_size && x.columns() % head_size == 0 && head_size % 2 == 0);
  FALLOW_CHECK(row_count() <= x.rows());
  if (max_position_ >= table.rows()) {
    FailStep(ErrorCode::kInvalidArgument, fmt::format("position {} is beyond the table of {} rows",
                                                      max_position_, table.rows()));
    return;
  }
  Dispatch* dispatch = Append("rope", {});
  if (dispatch == nullptr) return;
  Writes(*dispatch, 0, x.memory());
  Reads(*dispatch, 1, table.memory());
  dispatch->blocks[2] = kStepBlock;
  SetArguments(*dispatch, RopeArguments{.columns = x.columns(),
                                        .stride = x.stride(),
                                        .head_size = head_size,
                                        .table_stride = table.stride(),
                                        .x_offset = Vectors(x.memory()),
                                        .table_offset = table.memory().ElementOffset(8),
                                        .positions_offset = positions_offset_});
  dispatch->grid = RowGrid(x.stride(), row_count());
  dispatch->work += kElementNs * x.stride() * row_count();
  Wrote(x);
}

void StepBuilder::StoreKv(const VulkanTensor& keys, const VulkanTensor& values,
                          VulkanKvCache& cache) {
  const KvShape& shape = cache.shape();
  FALLOW_CHECK(keys.columns() == shape.kv_head_count * shape.head_size &&
               values.columns() == keys.columns());
  if (!HoldsPages(cache)) return;
  Dispatch* dispatch = Append("store_kv", {});
  if (dispatch == nullptr) return;
  Reads(*dispatch, 0, keys.memory());
  Reads(*dispatch, 1, values.memory());
  dispatch->blocks[2] = kStepBlock;
  Writes(*dispatch, 3, cache.keys);
  Writes(*dispatch, 4, cache.values);
  Writes(*dispatch, 5, cache.key_scales);
  Writes(*dispatch, 6, cache.value_scales);
  SetArguments(*dispatch, StoreKvArguments{.heads = shape.kv_head_count,
                                           .head_size = shape.head_size,
                                           .stride = keys.stride(),
                                           .pages_per_row = pages_per_row_,
                                           .keys_offset = Words(keys.memory()),
                                           .values_offset = Words(values.memory()),
                                           .positions_offset = positions_offset_,
                                           .pages_offset = pages_offset_,
                                           .key_words_offset = Words(cache.keys),
                                           .value_words_offset = Words(cache.values),
                                           .key_scales_offset = Words(cache.key_scales),
                                           .value_scales_offset = Words(cache.value_scales)});
  dispatch->grid = {OctetGroups(shape.kv_head_count), row_count(), 1};
  dispatch->work += 2 * kElementNs * keys.stride() * row_count();
}

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

namespace {

void BindAttention(Dispatch& dispatch, const VulkanTensor& q, const VulkanKvCache& cache) {
  Reads(dispatch, 0, q.memory());
  Reads(dispatch, 1, cache.keys);
  dispatch.blocks[2] = kStepBlock;
  Reads(dispatch, 4, cache.values);
  Reads(dispatch, 5, cache.key_scales);
  Reads(dispatch, 6, cache.value_scales);
}

double AttentionWork(const AttentionArguments& arguments, std::uint32_t rows,
                     std::uint32_t positions) {
  return 2 * kMultiplyAddNs * arguments.heads * RoundUp(arguments.head_size, kQuantBlock) * rows *
         positions;
}

}  // namespace

void StepBuilder::AttentionInOne(const VulkanTensor& q, const VulkanKvCache& cache,
                                 const AttentionArguments& arguments, VulkanTensor& out) {
  const bool quantise = static_cast<bool>(out.quantised) && arguments.head_size % kQuantBlock == 0;
  Dispatch* dispatch = Append("attention", {1, quantise ? 1u : 0u, cache.blocks()});
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
    out.quantised_rows = row_count();
    quantised_tensors_.push_back(&out);
  }
  SetArguments(*dispatch, own);
  dispatch->grid = {OctetGroups(own.heads), row_count(), 1};
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
    Dispatch* dispatch = Append("attention", {0, 0, cache.blocks()});
    if (dispatch == nullptr) return;
    AttentionArguments own = arguments;
    own.first_row = first;
    own.words_offset = Words(partial_values_);
    own.scales_offset = Words(partial_sums_);
    BindAttention(*dispatch, q, cache);
    Writes(*dispatch, 7, partial_values_);
    Writes(*dispatch, 8, partial_sums_);
    SetArguments(*dispatch, own);
    dispatch->grid = {OctetGroups(own.heads), rows, own.chunks};
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

void StepBuilder::Add(VulkanTensor& x, const VulkanTensor& y) {
  FALLOW_CHECK(x.columns() == y.columns());
  Elementwise(1, x, &y, row_count());
  if (!status_.has_value()) return;
  last_ = Last::kAdd;
  last_x_ = &x;
  last_y_ = &y;
  last_rows_ = row_count();
}

void StepBuilder::SiluMul(VulkanTensor& gate, const VulkanTensor& up) {
  FALLOW_CHECK(gate.columns() == up.columns());
  Elementwise(2, gate, &up, row_count());
}

void StepBuilder::Elementwise(std::uint32_t operation, VulkanTensor& x, const VulkanTensor* y,
                              std::uint32_t rows) {
  FALLOW_CHECK(rows <= x.rows() && (y == nullptr || rows <= y->rows()));
  // A sum is an input of products only through a norm.
  const bool quantise = operation == 0 || (operation == 2 && static_cast<bool>(x.quantised));
  Dispatch* dispatch = Append("elementwise", {operation, quantise ? 1u : 0u, 0});
  if (dispatch == nullptr) return;
  ElementwiseArguments arguments{
      .stride = x.stride(), .scale_stride = x.scale_stride(), .x_offset = Vectors(x.memory())};
  if (operation == 0)
    Reads(*dispatch, 0, x.memory());
  else
    Writes(*dispatch, 0, x.memory());
  if (y != nullptr) {
    Reads(*dispatch, 1, y->memory());
    arguments.y_offset = Vectors(y->memory());
  }
  if (operation != 0) Wrote(x);
  if (quantise) {
    Writes(*dispatch, 4, x.quantised);
    Writes(*dispatch, 5, x.scales);
    arguments.quantised_offset = Words(x.quantised);
    arguments.scales_offset = Words(x.scales);
    x.quantised_rows = rows;
    quantised_tensors_.push_back(&x);
  }
  SetArguments(*dispatch, arguments);
  dispatch->grid = RowGrid(x.stride(), rows);
  dispatch->work += kElementNs * x.stride() * rows;
}

void StepBuilder::GatherRows(const VulkanTensor& x, std::span<const std::uint32_t> source_rows,
                             VulkanTensor& out) {
  const auto count = static_cast<std::uint32_t>(source_rows.size());
  FALLOW_CHECK(x.columns() == out.columns() && count <= out.rows());
  for (const std::uint32_t row : source_rows) FALLOW_CHECK(row < x.rows());
  Dispatch* dispatch = Append("gather", {});
  if (dispatch == nullptr) return;
  const auto rows_offset = static_cast<std::uint32_t>(step_words_.size());
  step_words_.insert(step_words_.end(), source_rows.begin(), source_rows.end());
  Reads(*dispatch, 0, x.memory());
  dispatch->blocks[1] = kStepBlock;
  Writes(*dispatch, 3, out.memory());
  SetArguments(*dispatch, GatherArguments{.stride = x.stride(),
                                          .x_offset = Vectors(x.memory()),
                                          .rows_offset = rows_offset,
                                          .result_offset = Vectors(out.memory())});
  dispatch->grid = RowGrid(x.stride(), count);
  dispatch->work += kElementNs * x.stride() * count;
  Wrote(out);
}

Dispatch* StepBuilder::Append(std::string_view kernel, const KernelConstants& constants) {
  last_ = Last::kOther;
  if (!status_.has_value()) return nullptr;
  auto pipeline = kernels_.Pipeline(kernel, constants);
  if (!pipeline.has_value()) {
    FailStep(pipeline.error());
    return nullptr;
  }
  Dispatch& dispatch = dispatches_.emplace_back();
  dispatch.pipeline = *pipeline;
  dispatch.work = kDispatchNs;
  return &dispatch;
}

void StepBuilder::FailStep(ErrorCode code, std::string message) {
  FailStep(Error{code, std::move(message)});
}

void StepBuilder::FailStep(const Error& error) {
  if (status_.has_value()) status_ = std::unexpected(error);
}

void StepBuilder::Wrote(VulkanTensor& tensor) {
  tensor.quantised_rows = 0;
}

void StepBuilder::EnsureQuantised(VulkanTensor& tensor, std::uint32_t rows) {
  if (tensor.quantised_rows >= rows || !EnsureQuantisedMemory(tensor)) return;
  Elementwise(0, tensor, nullptr, rows);
}

bool StepBuilder::EnsureQuantisedMemory(VulkanTensor& tensor) {
  if (tensor.quantised) return true;
  auto words =
      memory_.Allocate(MemoryKind::kDevice, std::uint64_t{tensor.padded_rows()} * tensor.stride(),
                       "the int8 form of a tensor");
  auto scales =
      memory_.Allocate(MemoryKind::kDevice,
                       std::uint64_t{tensor.padded_rows()} * tensor.scale_stride() * sizeof(float),
                       "the scales of a tensor");
  if (!words.has_value() || !scales.has_value()) {
    FailStep(words.has_value() ? scales.error() : words.error());
    return false;
  }
  tensor.quantised = *std::move(words);
  tensor.scales = *std::move(scales);
  return true;
}

bool StepBuilder::HoldsPages(const VulkanKvCache& cache) {
  if (max_page_ < cache.shape().page_count) return true;
  FailStep(ErrorCode::kInvalidArgument, fmt::format("page {} is beyond the cache of {} pages",
                                                    max_page_, cache.shape().page_count));
  return false;
}

// An octet for every 256 columns of every row.
std::array<std::uint32_t, 3> StepBuilder::RowGrid(std::uint32_t stride, std::uint32_t rows) const {
  return {OctetGroups((stride / kQuantBlock + 7) / 8), rows, 1};
}

}  // namespace fallow::engine
