// SentencePiece's byte-pair encoding with byte fallback: tokenizer.ggml.model "llama".
//
// A run's spaces become U+2581, and from single characters on, the two neighbours that spell the
// token of the highest score are joined, the leftmost first. A character that is no token becomes
// its bytes' tokens. Unless tokenizer.ggml.add_space_prefix is false, a run gets a space in front,
// after a special token too.
//
// Any bytes come back from their tokens, but for U+2581 itself, which comes back as the space it
// stands for.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/run_encoder.h"
#include "engine/tokenizer/vocabulary.h"

namespace fallow::engine {

// Errors name the missing byte, or the score.
Result<std::unique_ptr<RunEncoder>> NewSentencePiece(const GgufFile& file,
                                                     const Vocabulary& vocabulary,
                                                     const StepControl& control);

}  // namespace fallow::engine
