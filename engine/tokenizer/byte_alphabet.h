// The printable stand-ins that byte-level vocabularies spell bytes with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::engine {

// The stand-in of a byte, as UTF-8: itself where it is printable Latin-1, else a character from
// U+0100 on.
std::string SpellByte(std::uint8_t byte);
// The bytes that a token's spelling stands for; none if it holds a character that is no stand-in.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

}  // namespace fallow::engine
