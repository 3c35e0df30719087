// Byte-level byte-pair encoding: tokenizer.ggml.model "gpt2".
//
// A run is cut into words by the rule of tokenizer.ggml.pre, and a word's bytes are merged by
// tokenizer.ggml.merges. Any bytes come back from their tokens, but that a byte which has no token,
// as some vocabularies leave out what is not text, is left out.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/run_encoder.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/word_rules.h"

namespace fallow::engine {

inline constexpr std::size_t kMaxMerges = 4 << 20;  // large vocabularies have some 500,000

// The rule that tokenizer.ggml.pre names. Errors: kInvalidArgument where it is missing, since a
// guessed rule would give other tokens than the model learnt; kUnimplemented names it and those
// known.
Result<const WordRule*> FindWordRuleOf(const GgufFile& file);

// Errors name the missing byte or the merge; kCancelled when it was stopped.
Result<std::unique_ptr<RunEncoder>> NewByteLevelBpe(const GgufFile& file,
                                                    const Vocabulary& vocabulary,
                                                    const WordRule& rule,
                                                    const StepControl& control);

}  // namespace fallow::engine
