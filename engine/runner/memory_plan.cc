#include "engine/runner/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace fallow::engine {
namespace {

// A model that looks ahead needs all of a sequence in one step; longer ones are refused.
constexpr std::uint32_t kMaxLookAheadRows = 8192;

std::uint32_t PagesFor(std::uint32_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

// Half of what the weights leave of the backend's memory: the rest is the machine's. Where they
// leave little or nothing, an eighth may be tried: some drivers give more than they name.
std::uint64_t UsualBytes(Model& model) {
  const std::uint64_t memory = model.backend().info().memory_bytes;
  const std::uint64_t weights = model.WeightBytes();
  return std::max(memory > weights ? (memory - weights) / 2 : 0, memory / 8);
}

}  // namespace

MemoryPlan PlanWithPages(Model& model, const RunnerOptions& options, std::uint32_t page_count) {
  const ModelCard& card = model.card();
  MemoryPlan plan;
  plan.max_sequence_count = std::min(options.max_sequence_count, options.max_rows_per_step);
  WorkspaceSize& size = plan.workspace;
  size.max_rows = options.max_rows_per_step;
  if (model.looks_ahead())
    size.max_rows = std::max(size.max_rows, std::min(card.context_length, kMaxLookAheadRows));
  size.max_outputs = card.pooling == Pooling::kNone ? plan.max_sequence_count : size.max_rows;
  size.page_count = page_count;
  size.pages_per_row = PagesFor(card.context_length);
  plan.weight_bytes = model.WeightBytes();
  plan.workspace_bytes = model.WorkspaceBytes(size);
  return plan;
}

Result<MemoryPlan> PlanMemory(Model& model, const RunnerOptions& options) {
  if (options.max_sequence_count == 0 || options.max_rows_per_step == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "a runner needs at least one sequence and one row per step");
  }
  const std::uint64_t allowed =
      options.memory_bytes != 0 ? options.memory_bytes : UsualBytes(model);
  const MemoryPlan one_page = PlanWithPages(model, options, 1);
  if (one_page.workspace_bytes > allowed) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("one page of caches and the buffers of a step need {} bytes; {} are "
                            "allowed",
                            one_page.workspace_bytes, allowed));
  }
  const std::uint64_t page_bytes =
      PlanWithPages(model, options, 2).workspace_bytes - one_page.workspace_bytes;
  const std::uint64_t most =
      std::uint64_t{one_page.max_sequence_count} * PagesFor(model.card().context_length);
  std::uint64_t pages =
      1 + (allowed - one_page.workspace_bytes) / std::max<std::uint64_t>(page_bytes, 1);
  pages = std::min(pages, most);
  MemoryPlan plan = PlanWithPages(model, options, static_cast<std::uint32_t>(pages));
  // Rounding of a backend's allocations may differ from page to page.
  while (plan.workspace_bytes > allowed && plan.workspace.page_count > 1)
    plan = PlanWithPages(model, options, plan.workspace.page_count - 1);
  return plan;
}

}  // namespace fallow::engine
