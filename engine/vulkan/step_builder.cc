#include "engine/vulkan/step_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

// Rows are a grid's y axis, of which every device has 65,535.
constexpr std::uint32_t kMaxStepRows = 65535;
// The join's loop is over the chunks of a row; their number is a grid's z axis too.
constexpr std::uint32_t kMaxChunks = kMaxLoopIterations;

std::string_view EmbedKernel(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "embed_f32";
    case WeightType::kF16:
      return "embed_f16";
    default:
    case WeightType::kQ8_0:
      return "embed_q8_0";
  }
  FALLOW_UNREACHABLE();
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
  step_number_++;
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
    WroteQuantised(out, rows);
  }
  SetArguments(*dispatch, arguments);
  dispatch->grid = {OctetGroups(rows), 1, 1};
  dispatch->work += 2 * kElementNs * x.stride() * rows;
}

void StepBuilder::Rope(VulkanTensor& x, const VulkanTensor& table, std::uint32_t head_size) {
  FALLOW_CHECK(table.columns() == head_size && x.columns() % head_size == 0 && head_size % 2 == 0);
  FALLOW_CHECK(row_count() <= x.rows());
  if (max_position_ >= table.rows()) {
    FailStep(ErrorCode::kInvalidArgument, fmt::format("position {} is beyond the table of {} rows",
                                                      max_position_, table.rows()));
    return;
  }
  const RopeRows rows{x.columns(), x.stride(), Vectors(x.memory())};
  const double work = kElementNs * x.stride() * row_count();
  if (JoinRope(x, table, rows)) {
    dispatches_.back().work += work;
    Wrote(x);
    return;
  }
  Dispatch* dispatch = Append("rope", {});
  if (dispatch == nullptr) return;
  Writes(*dispatch, 0, x.memory());
  Reads(*dispatch, 1, table.memory());
  dispatch->blocks[2] = kStepBlock;
  SetArguments(*dispatch, RopeArguments{.rows = {rows},
                                        .octets = RowOctets(x.stride()),
                                        .head_size = head_size,
                                        .table_stride = table.stride(),
                                        .table_offset = table.memory().ElementOffset(8),
                                        .positions_offset = positions_offset_});
  dispatch->grid = RowGrid(x.stride(), row_count());
  dispatch->work += work;
  Wrote(x);
  last_ = Last::kRope;
  last_x_ = &x;
  last_y_ = &table;
}

// Makes x the second tensor of the dispatch before, when that turns another by the same table.
bool StepBuilder::JoinRope(const VulkanTensor& x, const VulkanTensor& table, const RopeRows& rows) {
  if (last_ != Last::kRope || last_x_ == &x || last_y_ != &table) return false;
  Dispatch& dispatch = dispatches_.back();
  if (dispatch.blocks[0] != x.memory().block()) return false;
  auto arguments = GetArguments<RopeArguments>(dispatch);
  arguments.rows[1] = rows;
  SetArguments(dispatch, arguments);
  Writes(dispatch, 0, x.memory());
  dispatch.grid[0] = OctetGroups(arguments.octets + RowOctets(x.stride()));
  last_ = Last::kOther;
  return true;
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
    WroteQuantised(x, rows);
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

void StepBuilder::WroteQuantised(VulkanTensor& tensor, std::uint32_t rows) {
  tensor.quantised_rows = rows;
  tensor.quantised_step = step_number_;
}

void StepBuilder::EnsureQuantised(VulkanTensor& tensor, std::uint32_t rows) {
  const bool current = tensor.quantised_step == step_number_ && tensor.quantised_rows >= rows;
  if (current || !EnsureQuantisedMemory(tensor)) return;
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
  return {OctetGroups(RowOctets(stride)), rows, 1};
}

}  // namespace fallow::engine
