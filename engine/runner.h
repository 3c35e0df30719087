// A Runner generates for many requests at once: continuous batching over one model on one backend.
//
// Invariant: a request's tokens, digests and text are those it would have alone; batch, order of
// arrival and step size cannot be seen in them. Threading: one thread; the stop flag alone may be
// set from another.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/backend.h"
#include "engine/model/model.h"
#include "protocol/inference.h"

namespace fallow::engine {

struct RunnerOptions {
  std::uint32_t max_sequence_count = 32;  // requests in the batch at once; fewer if memory says so
  std::uint32_t max_rows_per_step =
      128;  // tokens computed in one step: bounds a step's time and its buffers
  std::uint64_t memory_bytes =
      0;  // for caches and buffers beside the weights; 0: half of what those leave
};

// One finished request. `result.attempt` is empty.
struct FinishedRequest {
  std::uint64_t ticket = 0;
  AttemptResult result;
};

class Runner {
 public:
  // Allocates caches and buffers. kResourceExhausted, with the size that would fit, when not even
  // one sequence does. `model` must outlive the runner.
  static Result<std::unique_ptr<Runner>> Create(Model& model, const RunnerOptions& options);
  virtual ~Runner() = default;

  // Takes a request; it waits until a sequence is free. Its own faults (prompt longer than the
  // context, an unknown role) come back as a FinishedRequest with an error.
  virtual void Add(std::uint64_t ticket, InferenceRequest request) = 0;
  // Forgets a ticket's requests.
  virtual void Drop(std::uint64_t ticket) = 0;
  // Forgets everything.
  virtual void Clear() = 0;

  virtual bool idle() const = 0;  // nothing waits and nothing runs
  virtual WorkProgress progress() const = 0;

  // Computes one step for everything that is in the batch and returns the requests it finished.
  // kCancelled when `stop` was set: no request is lost, the same step is computed again by the next
  // call. Any other error is the backend's and ends the runner.
  virtual Result<std::vector<FinishedRequest>> Step(const StopFlag& stop) = 0;
};

}  // namespace fallow::engine
