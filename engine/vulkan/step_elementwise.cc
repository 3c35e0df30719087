// Norms and operators on single values as dispatches, with int8 forms of what they write.
#include <algorithm>

#include "base/check.h"
#include "engine/exact.h"
#include "engine/vulkan/step_builder.h"

namespace fallow::engine {
namespace {

// Bindings of an int8 form's words and numbers.
constexpr std::array<std::uint32_t, 2> kFormBindings{4, 5};

float InverseCount(std::uint32_t count) {
  return ExactRcp(ExactFloatWide(static_cast<std::int32_t>(count)));
}

}  // namespace

void StepBuilder::RmsNorm(const VulkanTensor& x, const VulkanTensor& weight, float epsilon,
                          VulkanTensor& out, std::uint32_t rows) {
  FALLOW_CHECK(x.columns() == out.columns() && x.columns() % weight.columns() == 0);
  FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
  if (weight.columns() != x.columns()) {
    RmsNormOfGroups(x, weight, epsilon, out, rows);
    return;
  }
  const VulkanTensor* y = TakeAddition(x, out, rows);
  const ActivationForm form = FormToWrite(out);
  Dispatch* dispatch = Append("rmsnorm", {y != nullptr ? 1u : 0u, FormConstant(form), 0});
  if (dispatch == nullptr) return;
  RmsNormArguments arguments{.rows = rows,
                             .columns = x.columns(),
                             .stride = x.stride(),
                             .inverse_count = InverseCount(x.columns()),
                             .epsilon = epsilon,
                             .x_offset = Vectors(x.memory()),
                             .weight_offset = Vectors(weight.memory()),
                             .result_offset = Vectors(out.memory())};
  if (y != nullptr) {
    Writes(*dispatch, 0, x.memory());
    Reads(*dispatch, 1, y->memory());
    arguments.y_offset = Vectors(y->memory());
  } else {
    Reads(*dispatch, 0, x.memory());
  }
  Reads(*dispatch, 2, weight.memory());
  Writes(*dispatch, 3, out.memory());
  Wrote(out);
  arguments.form = WritesForm(*dispatch, out, form, kFormBindings, rows);
  SetArguments(*dispatch, arguments);
  dispatch->grid = {OctetGroups(rows), 1, 1};
  dispatch->work += 2 * kElementNs * x.stride() * rows;
}

// A long step's groups may be more than an axis of a grid holds, so they are taken in turns.
void StepBuilder::RmsNormOfGroups(const VulkanTensor& x, const VulkanTensor& weight, float epsilon,
                                  VulkanTensor& out, std::uint32_t rows) {
  const std::uint32_t groups = x.columns() / weight.columns();
  const std::uint32_t rows_at_once = std::max(1u, kMaxAxisWorkgroups / groups * plan_.octets());
  for (std::uint32_t first = 0; first < rows; first += rows_at_once) {
    RmsNormOfSomeGroups(x, weight, epsilon, out, {first, std::min(rows_at_once, rows - first)});
  }
}

// Groups of whole blocks are rows by themselves: then no column is padding.
void StepBuilder::RmsNormOfSomeGroups(const VulkanTensor& x, const VulkanTensor& weight,
                                      float epsilon, VulkanTensor& out, const RowRun& run) {
  const std::uint32_t columns = weight.columns();
  const std::uint32_t groups = x.columns() / columns;
  const std::uint32_t first_vector = run.first * (x.stride() / 4);
  const bool scattered = columns % kQuantBlock != 0;
  Dispatch* dispatch = Append("rmsnorm", {0, 0, scattered ? 1u : 0u});
  if (dispatch == nullptr) return;
  Reads(*dispatch, 0, x.memory());
  Reads(*dispatch, 2, weight.memory());
  Writes(*dispatch, 3, out.memory());
  Wrote(out);
  SetArguments(*dispatch, RmsNormArguments{.rows = run.count * groups,
                                           .groups = groups,
                                           .columns = columns,
                                           .stride = scattered ? x.stride() : columns,
                                           .inverse_count = InverseCount(columns),
                                           .epsilon = epsilon,
                                           .x_offset = Vectors(x.memory()) + first_vector,
                                           .weight_offset = Vectors(weight.memory()),
                                           .result_offset = Vectors(out.memory()) + first_vector});
  dispatch->grid = {OctetGroups(run.count * groups), 1, 1};
  dispatch->work += 2 * kElementNs * x.stride() * run.count;
}

void StepBuilder::LayerNorm(const VulkanTensor& x, const VulkanTensor& weight,
                            const VulkanTensor& bias, float epsilon, VulkanTensor& out,
                            std::uint32_t rows) {
  FALLOW_CHECK(x.columns() == out.columns() && x.columns() == weight.columns() &&
               x.columns() == bias.columns());
  FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
  const VulkanTensor* y = TakeAddition(x, out, rows);
  const bool quantise = FormToWrite(out) == ActivationForm::kInt8Per32;
  Dispatch* dispatch = Append("layernorm", {y != nullptr ? 1u : 0u, quantise ? 1u : 0u});
  if (dispatch == nullptr) return;
  LayerNormArguments arguments{.rows = rows,
                               .columns = x.columns(),
                               .stride = x.stride(),
                               .inverse_count = InverseCount(x.columns()),
                               .epsilon = epsilon,
                               .x_offset = Vectors(x.memory()),
                               .weight_offset = Vectors(weight.memory()),
                               .bias_offset = Vectors(bias.memory()),
                               .result_offset = Vectors(out.memory())};
  if (y != nullptr) {
    Writes(*dispatch, 0, x.memory());
    Reads(*dispatch, 1, y->memory());
    arguments.y_offset = Vectors(y->memory());
  } else {
    Reads(*dispatch, 0, x.memory());
  }
  Reads(*dispatch, 2, weight.memory());
  Writes(*dispatch, 3, out.memory());
  Reads(*dispatch, 6, bias.memory());
  Wrote(out);
  if (quantise)
    arguments.form = WritesForm(*dispatch, out, ActivationForm::kInt8Per32, kFormBindings, rows);
  SetArguments(*dispatch, arguments);
  dispatch->grid = {OctetGroups(rows), 1, 1};
  dispatch->work += 3 * kElementNs * x.stride() * rows;
}

const VulkanTensor* StepBuilder::TakeAddition(const VulkanTensor& x, const VulkanTensor& out,
                                              std::uint32_t rows) {
  if (last_ != Last::kAdd || last_x_ != &x || last_rows_ != rows || last_y_ == &out ||
      !status_.has_value())
    return nullptr;
  dispatches_.pop_back();
  return last_y_;
}

void StepBuilder::Add(VulkanTensor& x, const VulkanTensor& y) {
  FALLOW_CHECK(x.columns() == y.columns());
  Elementwise(x, {.operation = Operation::kAdd, .y = &y}, ActivationForm::kFloat, row_count());
  if (!status_.has_value() || row_count() == 0) return;
  last_ = Last::kAdd;
  last_x_ = &x;
  last_y_ = &y;
  last_rows_ = row_count();
}

void StepBuilder::AddRow(VulkanTensor& x, const VulkanTensor& row) {
  FALLOW_CHECK(x.columns() == row.columns());
  Elementwise(x, {.operation = Operation::kAdd, .y = &row, .one_row = true}, ActivationForm::kFloat,
              row_count());
}

void StepBuilder::Scale(VulkanTensor& x, float factor) {
  Elementwise(x, {.operation = Operation::kScale, .factor = factor}, ActivationForm::kFloat,
              row_count());
}

void StepBuilder::SiluMul(VulkanTensor& gate, const VulkanTensor& up) {
  FALLOW_CHECK(gate.columns() == up.columns());
  Elementwise(gate, {.operation = Operation::kSiluMul, .y = &up}, FormToWrite(gate), row_count());
}

void StepBuilder::GeluMul(VulkanTensor& gate, const VulkanTensor& up) {
  FALLOW_CHECK(gate.columns() == up.columns());
  Elementwise(gate, {.operation = Operation::kGeluMul, .y = &up}, FormToWrite(gate), row_count());
}

void StepBuilder::GeluErf(VulkanTensor& x) {
  Elementwise(x, {.operation = Operation::kGeluErf}, FormToWrite(x), row_count());
}

void StepBuilder::Softcap(VulkanTensor& x, float cap, std::uint32_t rows) {
  Elementwise(x, {.operation = Operation::kSoftcap, .factor = cap, .inverse = 1.0f / cap},
              ActivationForm::kFloat, rows);
}

void StepBuilder::Elementwise(VulkanTensor& x, const ElementwiseInput& input, ActivationForm form,
                              std::uint32_t rows) {
  const VulkanTensor* y = input.y;
  FALLOW_CHECK(rows <= x.rows() && (y == nullptr || input.one_row || rows <= y->rows()));
  if (rows == 0) return;
  Dispatch* dispatch =
      Append("elementwise", {static_cast<std::uint32_t>(input.operation), FormConstant(form)});
  if (dispatch == nullptr) return;
  ElementwiseArguments arguments{.stride = x.stride(),
                                 .y_stride = input.one_row ? 0 : x.stride(),
                                 .x_offset = Vectors(x.memory()),
                                 .factor = input.factor,
                                 .inverse = input.inverse};
  if (input.operation == Operation::kNone) {
    Reads(*dispatch, 0, x.memory());
  } else {
    Writes(*dispatch, 0, x.memory());
    Wrote(x);
  }
  if (y != nullptr) {
    Reads(*dispatch, 1, y->memory());
    arguments.y_offset = Vectors(y->memory());
  }
  arguments.form = WritesForm(*dispatch, x, form, kFormBindings, rows);
  SetArguments(*dispatch, arguments);
  dispatch->grid = RowGrid(x.stride(), rows);
  dispatch->work += kElementNs * x.stride() * rows;
}

}  // namespace fallow::engine
