// UTF-8 (RFC 3629).
#pragma once

#include <string_view>

namespace fallow {

// No overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

}  // namespace fallow
