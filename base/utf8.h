// UTF-8 (RFC 3629).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fallow {

// No overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

// `text` with '?' for every byte that is not UTF-8, cut to at most `max_bytes` between characters.
// For words to people that may quote anything.
std::string ToValidUtf8(std::string_view text, std::size_t max_bytes);

}  // namespace fallow
