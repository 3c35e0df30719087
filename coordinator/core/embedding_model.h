// What a model's card says of its vectors, and whether it is for a batch's endpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/core/batch_line.h"
#include "coordinator/core/records.h"

namespace fallow {

// Values of a vector; 0 if the card does not say.
std::uint32_t EmbeddingLength(const Model& model);

// Whether it gives vectors. A card without "pooling", or with "none", is one of a model that
// generates.
bool GivesVectors(const Model& model);

// Why the model cannot serve `endpoint`, with `line` 0; none if it can.
std::optional<JobError> WrongEndpoint(const Model& model, std::string_view endpoint);

// Why the model cannot answer an embeddings line, with `line` 0; none if it can.
std::optional<JobError> WrongVectors(const Model& model, const BatchLine& line);

}  // namespace fallow
