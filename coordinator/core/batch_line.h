// One line of a batch file, checked: the words of docs/PROTOCOL.md's OpenAI section as code.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "coordinator/core/records.h"
#include "protocol/inference.h"

namespace fallow {

struct BatchLine {
  std::string custom_id;
  ModelId model;
  InferenceRequest request;  // index and assigned seed are the caller's to fill in
  bool has_seed = false;     // request.sampling.seed is the submitter's
  VectorEncoding vector_encoding = VectorEncoding::kFloat;  // of an embedding request
  std::uint32_t dimensions = 0;  // the length of vector that is asked for; 0: the model's
  bool operator==(const BatchLine&) const = default;
};

// Parses a line of a job on `endpoint`, an IsEndpoint. Pure; any bytes are allowed. The error has
// `line` 0.
std::expected<BatchLine, JobError> ParseBatchLine(std::string_view line, std::string_view endpoint);

}  // namespace fallow
