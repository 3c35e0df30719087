#include "engine/runner/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/runner/page_pool.h"

namespace fallow::engine {
namespace {

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
  if (model.looks_ahead()) {
    const std::uint64_t longest = std::uint64_t{page_count} * kPagePositions;
    size.max_rows = static_cast<std::uint32_t>(std::max<std::uint64_t>(
        size.max_rows, std::min<std::uint64_t>({card.context_length, kMaxLookAheadRows, longest})));
  }
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
  // The largest number of pages that fits: more of them never take less.
  const std::uint64_t most =
      std::uint64_t{one_page.max_sequence_count} * PagesFor(model.card().context_length);
  std::uint32_t fits = 1;
  auto too_many = static_cast<std::uint32_t>(most + 1);
  while (too_many - fits > 1) {
    const std::uint32_t middle = fits + (too_many - fits) / 2;
    (PlanWithPages(model, options, middle).workspace_bytes <= allowed ? fits : too_many) = middle;
  }
  return PlanWithPages(model, options, fits);
}

}  // namespace fallow::engine
