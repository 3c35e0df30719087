// Makes the chat format that a GGUF file's template describes.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/chat/chat_format.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine {

// Of the file's default template, tokenizer.chat_template; those under other names, such as
// tokenizer.chat_template.tool_use, are not read. Null when the file has none. Errors are those of
// ChatTemplate::Parse, and kInvalidArgument where the file's first or last token does not exist.
Result<std::unique_ptr<ChatFormat>> LoadChatFormat(const GgufFile& file);

}  // namespace fallow::engine
