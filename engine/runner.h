// A Runner generates for many requests at once: continuous batching over one model on one backend.
//
// Invariant: a request's tokens, digests and text are those it would have alone; batch, order of
// arrival and step size cannot be seen in them. Threading: one thread; a step is stopped and
// paced from others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

// What a runner takes of its backend's memory.
struct MemoryPlan {
  std::uint32_t max_sequence_count = 0;
  WorkspaceSize workspace;
  std::uint64_t weight_bytes = 0;
  std::uint64_t workspace_bytes = 0;

  std::uint64_t bytes() const { return weight_bytes + workspace_bytes; }
};

// One finished request. `result.attempt` is empty.
struct FinishedRequest {
  std::uint64_t ticket = 0;
  AttemptResult result;
};

class Runner {
 public:
  // Allocates caches and buffers: for a whole context of every sequence, or for as many positions
  // as the memory holds. kResourceExhausted, with the size that would do, when that is not one
  // page. Computes a few rows, so kCancelled when it is stopped. `model` must outlive the runner.
  static Result<std::unique_ptr<Runner>> Create(Model& model, const RunnerOptions& options,
                                                const StepControl& control = StepControl());
  virtual ~Runner() = default;

  virtual const MemoryPlan& plan() const = 0;

  // Takes a request; it waits until a sequence is free. Its own faults (prompt longer than the
  // context, a role that the template refuses) come back as a FinishedRequest with an error, as
  // does one whose prompt or answer grows longer than this device's caches hold
  // (kResourceExhausted).
  virtual void Add(std::uint64_t ticket, InferenceRequest request) = 0;
  // Forgets a ticket's requests.
  virtual void Drop(std::uint64_t ticket) = 0;
  // Forgets everything, what progress counts too.
  virtual void Clear() = 0;

  virtual bool idle() const = 0;  // nothing waits and nothing runs
  virtual WorkProgress progress() const = 0;

  // Computes one step for everything that is in the batch and returns the requests it finished.
  // kCancelled when it was stopped: no request is lost, the same step is computed again by the next
  // call. Any other error is the backend's and ends the runner.
  virtual Result<std::vector<FinishedRequest>> Step(const StepControl& control) = 0;
};

// A start of a runner, which can be stopped meanwhile and go on where it was. As ModelLoad, and for
// the same reason.
class RunnerStart {
 public:
  // `model` must outlive the start and the runner.
  RunnerStart(Model& model, const RunnerOptions& options) : model_(model), options_(options) {}

  // As Runner::Create, but that what is allocated stays when it was stopped, and the next call goes
  // on.
  Result<std::unique_ptr<Runner>> Run(const StepControl& control);

 private:
  Model& model_;
  RunnerOptions options_;
  std::optional<MemoryPlan> plan_;
  std::unique_ptr<Model::Workspace> workspace_;
};

}  // namespace fallow::engine
