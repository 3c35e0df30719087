// An OutputAssembler writes the output and error files of a finalizing or cancelling job, in the
// job's order, and ends the job. Killed in between, it starts over and makes the same bytes.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/records.h"
#include "coordinator/core/task_queue.h"
#include "coordinator/store/store.h"

namespace fallow {

// The files live for `file_lifetime`. `on_end` is called with the ended job.
std::unique_ptr<Task> NewOutputAssembler(Job job, std::chrono::milliseconds file_lifetime,
                                         Store& store, ArtifactStore& artifacts, const Clock& clock,
                                         Random& random, std::function<void(const Job&)> on_end);

}  // namespace fallow
