// Makes the chat format that a GGUF file's template describes.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/chat/chat_format.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

// Null when the file has no template. kUnimplemented when it has one whose logic is not plain
// ChatML.
Result<std::unique_ptr<ChatFormat>> LoadChatFormat(const GgufFile& file,
                                                   const Tokenizer& tokenizer);

// Whether a Jinja template does what ChatML does and nothing else: every message between
// <|im_start|>role and
// <|im_end|>, then the assistant's opening. White space, quotes and the way of concatenating may
// differ.
bool IsChatMlTemplate(std::string_view chat_template);

}  // namespace fallow::engine
