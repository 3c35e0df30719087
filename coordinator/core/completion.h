// What a finished request looks like to its submitter: OpenAI's chat completion and batch output
// lines, those of embeddings too.
//
// Everything here is a function of the input file's bytes, the model's bytes, the request's index
// and the generated tokens. So a batch has the same output bytes whatever devices, order, retries
// or day produced them (docs/decisions/0001-deterministic-outputs.md). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "coordinator/core/records.h"
#include "coordinator/store/store.h"

namespace fallow {

// The seed of a request that names none.
std::uint64_t AssignedSeed(const Digest& input_artifact, std::uint64_t request_index);

// The chat completion of a request that is done.
std::string CompletionJson(const Job& job, const CanonicalResult& canonical);

// A line of the output file, its newline included. `outcome` is done.
std::string OutputLine(const Job& job, const RequestOutcome& outcome);

// A line of the error file, its newline included: of a failed request, or of one that was never
// finished because the job was cancelled or expired.
std::string ErrorLine(const Job& job, const RequestOutcome& outcome);

}  // namespace fallow
