// What a quoted string of a template stands for.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow::engine::jinja {

// `body` is what stands between the quotes. Python's escapes: \n \t \\ \' \" \xhh \uhhhh
// \Uhhhhhhhh, octal, and a backslash at the end of a line; an unknown one stays as it is written.
Result<std::string> UnescapeLiteral(std::string_view body);

}  // namespace fallow::engine::jinja
