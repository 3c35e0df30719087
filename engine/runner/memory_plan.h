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

// Pages of caches for a full context of every sequence, or as many as the memory allows.
// kResourceExhausted, with the size that would do, when that is not one.
Result<MemoryPlan> PlanMemory(Model& model, const RunnerOptions& options);
// The same with at most `page_count` pages.
MemoryPlan PlanWithPages(Model& model, const RunnerOptions& options, std::uint32_t page_count);

}  // namespace fallow::engine
