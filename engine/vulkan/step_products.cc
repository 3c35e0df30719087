// Products as dispatches: up to three that share an input in one.
#include "base/check.h"
#include "engine/vulkan/step_builder.h"
#include "engine/vulkan/type_kernels.h"
#include "engine/vulkan/weight_layout.h"

namespace fallow::engine {
namespace {

// Below this many rows a product for single rows is quicker than one for eight.
constexpr std::uint32_t kManyRows = 3;
constexpr std::uint32_t kTileGroups = kTileOutputs / kGroupOutputs;

}  // namespace

void StepBuilder::MatMul(const VulkanMatrix& weights, VulkanTensor& x, VulkanTensor& out,
                         std::uint32_t rows) {
  FALLOW_CHECK(weights.columns() == x.columns() && weights.rows() == out.columns());
  FALLOW_CHECK(rows <= x.rows() && rows <= out.rows() && &x != &out);
  if (rows == 0) return;
  EnsureForm(x, FormatOf(weights.type()).activations(), rows);
  if (!JoinMatMul(weights, x, out, rows))
    for (const MatrixPart& part : weights.parts) AppendMatMul(weights, part, x, out, rows);
  Wrote(out);
}

void StepBuilder::AppendMatMul(const VulkanMatrix& weights, const MatrixPart& part, VulkanTensor& x,
                               VulkanTensor& out, std::uint32_t rows) {
  const ActivationForm form = FormatOf(weights.type()).activations();
  const TypeKernels& kernels = KernelsOf(weights.type());
  const bool many = rows >= kManyRows;
  Dispatch* dispatch = Append(kernels.Product(many, plan_.packed_dot), {kTileGroups});
  if (dispatch == nullptr) return;
  MatMulArguments arguments{.rows = rows, .blocks = x.blocks()};
  if (form == ActivationForm::kFloat) {
    Reads(*dispatch, 0, x.memory());
    arguments.x_stride = x.stride() / 4;
    arguments.x_offset = Vectors(x.memory());
  } else {
    const Int8Storage& storage = x.form(form);
    Reads(*dispatch, 0, storage.words);
    Reads(*dispatch, 1, storage.numbers);
    arguments.x_stride = storage.word_stride / 4;
    arguments.x_offset = Vectors(storage.words);
    arguments.number_stride = storage.number_stride;
    arguments.numbers_offset = Words(storage.numbers);
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
  dispatch->work += kernels.MultiplyAddNs(many) * part.rows * x.stride() * rows;
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
  dispatch.work +=
      KernelsOf(weights.type()).MultiplyAddNs(rows >= kManyRows) * part.rows * x.stride() * rows;
  return true;
}

}  // namespace fallow::engine
