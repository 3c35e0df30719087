// An InputValidator reads a validating job's input file line by line and either starts the job or
// fails it.
//
// Memory: one slice, one line, and the custom ids and requests of at most kMaxBatchLines lines.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/records.h"
#include "coordinator/core/task_queue.h"
#include "coordinator/store/store.h"

namespace fallow {

// `on_end` is called with the job after it was started or failed; not if it was cancelled
// meanwhile.
std::unique_ptr<Task> NewInputValidator(Job job, Store& store, ArtifactStore& artifacts,
                                        const Clock& clock, std::function<void(const Job&)> on_end);

}  // namespace fallow
