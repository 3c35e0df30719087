// Makes the tokenizer that a GGUF file describes.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/step_control.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

// Errors name the key, and the token or merge. kUnimplemented for a model or splitting rule we do
// not know; kCancelled when it was stopped, since a large vocabulary takes a while. The tokenizer
// keeps nothing of `file`.
Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const GgufFile& file,
                                                 const StepControl& control = StepControl());

}  // namespace fallow::engine
