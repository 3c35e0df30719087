// The one place that decides what an attempt is worth.
//
// Now: an attempt that could be true counts. Pure; the attempt comes from a device that nobody
// trusts.
#pragma once

#include <cstdint>

#include "coordinator/store/store.h"

namespace fallow {

struct AttemptBounds {
  std::uint32_t max_tokens = 0;        // Request::max_tokens
  std::uint32_t context_length = 0;    // the model's; 0: unknown
  std::uint32_t input_count = 0;       // Request::input_count; 0: an answer is due, else vectors
  std::uint32_t embedding_length = 0;  // the model's; 0: unknown
};

// An implausible attempt comes back as kRetry with an error that says why and without its content.
JudgedAttempt JudgeAttempt(const AttemptResult& attempt, const AttemptBounds& bounds);

}  // namespace fallow
