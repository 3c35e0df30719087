// WordPiece: tokenizer.ggml.model "bert".
//
// A run is normalised into words, and a word is spelt by the longest tokens from left to right: the
// first begins with U+2581, which marks the beginning of a word in converted vocabularies, the
// others have no mark (their "##" is dropped by the conversion). A word that cannot be spelt, or
// has more than kMaxWordCharacters, is the unknown token.
//
// What a text was before it was normalised is not to be had from its tokens. Decoding writes words
// with a space between them.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/run_encoder.h"
#include "engine/tokenizer/vocabulary.h"

namespace fallow::engine {

inline constexpr std::size_t kMaxWordCharacters = 100;  // as the models' own tokenizers have it

Result<std::unique_ptr<RunEncoder>> NewWordPiece(const GgufFile& file, const Vocabulary& vocabulary,
                                                 const StepControl& control);

}  // namespace fallow::engine
