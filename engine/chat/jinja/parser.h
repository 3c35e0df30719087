// Parses a chat template.
#pragma once

#include <string_view>

#include "engine/chat/jinja/syntax.h"

namespace fallow::engine::jinja {

// Errors name the line, the column and what stands there: kUnimplemented for what the language has
// and this interpreter does not, kInvalidArgument for what no template may hold,
// kResourceExhausted beyond kMaxTemplateBytes or kMaxTemplateDepth.
Result<Program> ParseTemplate(std::string_view source);

}  // namespace fallow::engine::jinja
