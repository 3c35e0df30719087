// The tokens at which generation ends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/spelling_index.h"
#include "engine/tokenizer/vocabulary.h"

namespace fallow::engine {

// Those known by their spelling, since files seldom name them all. A text that spells one must not
// become it, whatever type the file gives it. `kinds` are by token.
std::vector<std::uint32_t> FindSpelledEndTokens(const SpellingIndex& spellings,
                                                std::span<const TokenKind> kinds);

// Adds those that the file names. An id beyond `token_count` is an error that names the key.
Result<std::vector<std::uint32_t>> AddNamedEndTokens(const GgufFile& file,
                                                     std::uint32_t token_count,
                                                     std::vector<std::uint32_t> tokens);

}  // namespace fallow::engine
