#include "engine/vulkan/step_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/vulkan/type_kernels.h"

namespace fallow::engine {
namespace {

bool IsSame(const RotaryShape& a, const RotaryShape& b) {
  return a.head_size == b.head_size && a.rotary_size == b.rotary_size && a.pairs == b.pairs;
}

}  // namespace

ActivationForm FormToWrite(VulkanTensor& tensor) {
  for (const ActivationForm form : {ActivationForm::kInt8Per32, ActivationForm::kInt8Per256})
    if (tensor.form(form).is_read) return form;
  return ActivationForm::kFloat;
}

std::uint32_t FormConstant(ActivationForm form) {
  switch (form) {
    case ActivationForm::kFloat:
      return 0;
    case ActivationForm::kInt8Per32:
      return 1;
    case ActivationForm::kInt8Per256:
      return 2;
  }
  FALLOW_UNREACHABLE();
}

Status StepBuilder::Begin(const StepRows& rows, std::uint32_t page_count) {
  Clear();
  const Status status = places_.Read(rows, page_count);
  if (!status.has_value()) Clear();
  return status;
}

void StepBuilder::Clear() {
  step_number_++;
  dispatches_.clear();
  places_.Clear();
  status_ = {};
  last_ = Last::kOther;
}

void StepBuilder::Embed(const VulkanMatrix& table, EmbedBy by, VulkanTensor& out) {
  FALLOW_CHECK(table.columns() == out.columns() && row_count() <= out.rows());
  const bool by_token = by == EmbedBy::kToken;
  const std::uint32_t largest = by_token ? places_.max_token() : places_.max_position();
  if (largest >= table.rows()) {
    FailStep(ErrorCode::kInvalidArgument,
             fmt::format("{} {} is beyond the table of {} rows", by_token ? "token" : "position",
                         largest, table.rows()));
    return;
  }
  for (const MatrixPart& part : table.parts) {
    Dispatch* dispatch = Append(KernelsOf(table.type()).embed, {});
    if (dispatch == nullptr) return;
    dispatch->blocks[1] = kStepBlock;
    Reads(*dispatch, 2, part.memory);
    Writes(*dispatch, 3, out.memory());
    SetArguments(*dispatch, EmbedArguments{.first_row = part.first_row,
                                           .row_count = part.rows,
                                           .columns = table.columns(),
                                           .stride = out.stride(),
                                           .table_offset = Vectors(part.memory),
                                           .index_offset = by_token ? places_.tokens_offset()
                                                                    : places_.positions_offset(),
                                           .result_offset = Vectors(out.memory())});
    dispatch->grid = RowGrid(out.stride(), row_count());
    dispatch->work += kElementNs * out.stride() * row_count();
  }
  Wrote(out);
}

void StepBuilder::Rope(VulkanTensor& x, const VulkanTensor& table, const RotaryShape& shape) {
  FALLOW_CHECK(shape.rotary_size % 2 == 0 && shape.rotary_size > 0 &&
               shape.rotary_size <= shape.head_size && table.columns() == shape.rotary_size);
  FALLOW_CHECK(x.columns() % shape.head_size == 0 && row_count() <= x.rows());
  if (places_.max_rotary_place() >= table.rows()) {
    FailStep(ErrorCode::kInvalidArgument, fmt::format("position {} is beyond the table of {} rows",
                                                      places_.max_rotary_place(), table.rows()));
    return;
  }
  const std::uint32_t head_pairs = shape.rotary_size / 2;
  const RopeRows rows{x.columns() / shape.head_size * head_pairs, x.stride(), Words(x.memory())};
  const double work = 2 * kElementNs * rows.pairs * row_count();
  if (JoinRope(x, table, shape, rows)) {
    dispatches_.back().work += work;
    Wrote(x);
    return;
  }
  Dispatch* dispatch = Append("rope", {shape.pairs == RotaryPairs::kHalves ? 1u : 0u});
  if (dispatch == nullptr) return;
  Writes(*dispatch, 0, x.memory());
  Reads(*dispatch, 1, table.memory());
  dispatch->blocks[2] = kStepBlock;
  const std::uint32_t octets = RowOctets(rows.pairs * 2);
  SetArguments(*dispatch, RopeArguments{.rows = {rows},
                                        .octets = octets,
                                        .head_size = shape.head_size,
                                        .head_pairs = head_pairs,
                                        .table_stride = table.stride() / 2,
                                        .table_offset = table.memory().ElementOffset(8),
                                        .places_offset = places_.rotary_places_offset()});
  dispatch->grid = {OctetGroups(octets), row_count(), 1};
  dispatch->work += work;
  Wrote(x);
  last_ = Last::kRope;
  last_x_ = &x;
  last_y_ = &table;
  last_shape_ = shape;
}

// Makes x the second tensor of the dispatch before, when that turns another in the same way.
bool StepBuilder::JoinRope(VulkanTensor& x, const VulkanTensor& table, const RotaryShape& shape,
                           const RopeRows& rows) {
  if (last_ != Last::kRope || last_x_ == &x || last_y_ != &table || !IsSame(last_shape_, shape))
    return false;
  Dispatch& dispatch = dispatches_.back();
  if (dispatch.blocks[0] != x.memory().block()) return false;
  auto arguments = GetArguments<RopeArguments>(dispatch);
  arguments.rows[1] = rows;
  SetArguments(dispatch, arguments);
  Writes(dispatch, 0, x.memory());
  dispatch.grid[0] = OctetGroups(arguments.octets + RowOctets(rows.pairs * 2));
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
                                           .pages_per_row = places_.pages_per_row(),
                                           .keys_offset = Words(keys.memory()),
                                           .values_offset = Words(values.memory()),
                                           .positions_offset = places_.positions_offset(),
                                           .pages_offset = places_.pages_offset(),
                                           .key_words_offset = Words(cache.keys),
                                           .value_words_offset = Words(cache.values),
                                           .key_scales_offset = Words(cache.key_scales),
                                           .value_scales_offset = Words(cache.value_scales)});
  dispatch->grid = {OctetGroups(shape.kv_head_count), row_count(), 1};
  dispatch->work += 2 * kElementNs * keys.stride() * row_count();
}

void StepBuilder::GatherRows(const VulkanTensor& x, std::span<const std::uint32_t> source_rows,
                             VulkanTensor& out) {
  const auto count = static_cast<std::uint32_t>(source_rows.size());
  FALLOW_CHECK(x.columns() == out.columns() && count <= out.rows());
  for (const std::uint32_t row : source_rows) FALLOW_CHECK(row < x.rows());
  Dispatch* dispatch = Append("gather", {});
  if (dispatch == nullptr) return;
  Reads(*dispatch, 0, x.memory());
  dispatch->blocks[1] = kStepBlock;
  Writes(*dispatch, 3, out.memory());
  SetArguments(*dispatch, GatherArguments{.stride = x.stride(),
                                          .x_offset = Vectors(x.memory()),
                                          .rows_offset = places_.Append(source_rows),
                                          .result_offset = Vectors(out.memory())});
  dispatch->grid = RowGrid(x.stride(), count);
  dispatch->work += kElementNs * x.stride() * count;
  Wrote(out);
}

Dispatch* StepBuilder::Append(std::string_view kernel, const KernelConstants& constants) {
  last_ = Last::kOther;
  if (!status_.has_value()) return nullptr;
  Dispatch& dispatch = dispatches_.emplace_back();
  dispatch.kernel = &kernels_.Find(kernel, constants);
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
  for (const ActivationForm form : {ActivationForm::kInt8Per32, ActivationForm::kInt8Per256})
    tensor.form(form).current_rows = 0;
}

Int8FormArguments StepBuilder::WritesForm(Dispatch& dispatch, VulkanTensor& tensor,
                                          ActivationForm form,
                                          const std::array<std::uint32_t, 2>& bindings,
                                          std::uint32_t rows) {
  if (form == ActivationForm::kFloat) return {};
  Int8Storage& storage = tensor.form(form);
  Writes(dispatch, bindings[0], storage.words);
  Writes(dispatch, bindings[1], storage.numbers);
  storage.current_rows = rows;
  storage.current_step = step_number_;
  return {.words_offset = Words(storage.words),
          .word_stride = storage.word_stride,
          .numbers_offset = Words(storage.numbers),
          .number_stride = storage.number_stride};
}

void StepBuilder::EnsureForm(VulkanTensor& tensor, ActivationForm form, std::uint32_t rows) {
  if (form == ActivationForm::kFloat) return;
  Int8Storage& storage = tensor.form(form);
  FALLOW_CHECK(storage);  // the tensor was made with room for the form
  storage.is_read = true;
  if (storage.current_step == step_number_ && storage.current_rows >= rows) return;
  Elementwise(tensor, {}, form, rows);
}

bool StepBuilder::HoldsPages(const VulkanKvCache& cache) {
  if (places_.max_page() < cache.shape().page_count) return true;
  FailStep(ErrorCode::kInvalidArgument, fmt::format("page {} is beyond the cache of {} pages",
                                                    places_.max_page(), cache.shape().page_count));
  return false;
}

// An octet for every 256 columns of every row.
std::array<std::uint32_t, 3> StepBuilder::RowGrid(std::uint32_t stride, std::uint32_t rows) const {
  return {OctetGroups(RowOctets(stride)), rows, 1};
}

}  // namespace fallow::engine
