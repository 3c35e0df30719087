// Makes the tokenizer that a GGUF file describes.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

// Errors name the key, and the token or merge. kUnimplemented for a model or splitting rule we do
// not know. The tokenizer keeps nothing of `file`.
Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const GgufFile& file);

}  // namespace fallow::engine
