// Text as ASCII and back, so that the TOML parser sees no other letters.
//
// toml++ 3.3 judges letters such as U+0496 outside texts, and after a line that is continued, by a
// way that C++ leaves undefined. TOML gives letters beyond ASCII a meaning only inside texts, so
// each, and '~', becomes '~' with six hexadecimal digits, which is no TOML anywhere else either.
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fallow {

struct TextPlace {
  std::size_t line = 1, column = 1;  // from 1; columns in characters
};

// `text` must be UTF-8.
std::string ToTomlAscii(std::string_view text);
// What it was made from; what was not made by it stays as it is.
std::string FromTomlAscii(std::string_view ascii);

// The place in `text` of one in its ASCII form.
TextPlace PlaceBefore(std::string_view text, TextPlace in_ascii);
TextPlace PlaceAt(std::string_view text, std::size_t offset);

}  // namespace fallow
