// What scheduling and checking need to know of a model, from its card.
#pragma once

#include <cstdint>

#include "coordinator/core/records.h"

namespace fallow {

// Tokens; 0 if the card does not say.
std::uint32_t ContextLength(const Model& model);

// How many tokens a request can generate: its own limit (0: none) or the context's.
std::uint32_t EffectiveMaxTokens(std::uint32_t requested, std::uint32_t context_length);

}  // namespace fallow
