// Makes a request's sequences: prompts and texts as tokens, checked against the model.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/model/model.h"
#include "engine/runner/sequence.h"
#include "engine/sampler/sampler.h"

namespace fallow::engine {

struct SequenceLimits {
  std::uint32_t max_tokens = 0;     // of a sequence: what the caches hold at most
  std::uint32_t max_step_rows = 0;  // of a sequence that must be computed at once
};

// kInvalidArgument: the request's own fault, on every device. kResourceExhausted: this device's.
Result<std::vector<std::unique_ptr<Sequence>>> ReadRequest(
    const std::shared_ptr<RunningRequest>& running, const InferenceRequest& request, Model& model,
    const SequenceLimits& limits, Sampler& sampler);

}  // namespace fallow::engine
