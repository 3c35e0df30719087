// Python's two ways to fill a text's gaps: "%s" % value and "{}".format(value).
#pragma once

#include "engine/chat/jinja/callable.h"

namespace fallow::engine::jinja {

// `arguments` is a tuple of them, or the only one. Conversions s, d, i, f and %, with the flags -
// and 0, a width and a precision; others are kUnimplemented.
Result<Value> FormatPercent(const Text& format, const Value& arguments, Budget& budget);
// Gaps {}, {0} and {name}; anything more inside the braces is kUnimplemented.
Result<Value> FormatBraces(const Text& format, const Arguments& arguments, Budget& budget);

}  // namespace fallow::engine::jinja
