// Reads the arguments that functions were passed. Errors name the argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/chat/jinja/callable.h"

namespace fallow::engine::jinja {

// The argument must be a text; the pointer lives as long as `value`.
Result<const Text*> AsText(const Value& value, std::string_view argument);
Result<std::int64_t> AsInteger(const Value& value, std::string_view argument);
// Of what may be left out or None.
Result<std::optional<std::int64_t>> AsOptionalInteger(const std::optional<Value>& value,
                                                      std::string_view argument);
// A count of at most kMaxPaddingCharacters, negative ones as 0.
Result<std::size_t> AsPadding(const Value& value, std::string_view argument);

}  // namespace fallow::engine::jinja
