// A MemoryPlan says, before anything is allocated, what a runner will take of its backend's memory.
//
// A pure function of the model, the options and the backend's own figures, so that what was planned
// can be compared with what was taken.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/model/model.h"
#include "engine/runner.h"

namespace fallow::engine {

// A model that looks ahead needs all of a sequence in one step; longer ones are refused.
inline constexpr std::uint32_t kMaxLookAheadRows = 8192;

// Pages of caches for a full context of every sequence, or as many as the memory allows.
// kResourceExhausted, with the size that would do, when that is not one.
Result<MemoryPlan> PlanMemory(Model& model, const RunnerOptions& options);
// The same with `page_count` pages. A step of a model that looks ahead takes what those hold, up to
// a limit: so where memory is short its texts must be shorter.
MemoryPlan PlanWithPages(Model& model, const RunnerOptions& options, std::uint32_t page_count);

}  // namespace fallow::engine
