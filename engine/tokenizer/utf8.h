// UTF-8 one character at a time, over bytes that may be broken.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fallow::engine {

enum class Utf8Kind : std::uint8_t {
  kCharacter,   // a whole valid character
  kBroken,      // bytes that no continuation can make valid
  kIncomplete,  // the text ends inside what may still become a character
};

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kBroken;
  std::uint32_t length =
      0;  // bytes it covers; for kBroken the longest run that one U+FFFD stands for
  std::uint32_t code_point = 0;  // of a character
};

// The first step of `text`, which is not empty.
Utf8Step ReadUtf8(std::string_view text);

void AppendUtf8(std::uint32_t code_point, std::string& text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace fallow::engine
