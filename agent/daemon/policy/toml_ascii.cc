#include "agent/daemon/policy/toml_ascii.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

namespace fallow {
namespace {

constexpr std::size_t kDigits = 6;
constexpr std::size_t kWidth = kDigits + 1;  // of a letter in ASCII form

bool Continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}
bool IsPlain(char c) {
  return static_cast<unsigned char>(c) < 0x80 && c != '~';
}

std::size_t CharacterEnd(std::string_view text, std::size_t at) {
  ++at;
  while (at < text.size() && Continues(text[at])) ++at;
  return at;
}

// Of one character in UTF-8 that is known to be whole.
std::uint32_t CodePoint(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  std::uint32_t value = character.size() == 1   ? first
                        : character.size() == 2 ? first & 0x1fu
                        : character.size() == 3 ? first & 0x0fu
                                                : first & 0x07u;
  for (const char c : character.substr(1))
    value = value << 6 | (static_cast<unsigned char>(c) & 0x3fu);
  return value;
}

void AppendUtf8(std::string& text, std::uint32_t value) {
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (value < 0x80) {
    add(value);
  } else if (value < 0x800) {
    add(0xc0 | value >> 6);
    add(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    add(0xe0 | value >> 12);
    add(0x80 | (value >> 6 & 0x3f));
    add(0x80 | (value & 0x3f));
  } else {
    add(0xf0 | value >> 18);
    add(0x80 | (value >> 12 & 0x3f));
    add(0x80 | (value >> 6 & 0x3f));
    add(0x80 | (value & 0x3f));
  }
}

std::optional<std::uint32_t> HexNumber(std::string_view digits) {
  if (digits.size() != kDigits) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  const bool is_letter = value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
  return is_letter ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string ToTomlAscii(std::string_view text) {
  std::string ascii;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = CharacterEnd(text, at);
    if (IsPlain(text[at]))
      ascii += text[at];
    else
      ascii += fmt::format("~{:0{}x}", CodePoint(text.substr(at, end - at)), kDigits);
    at = end;
  }
  return ascii;
}

std::string FromTomlAscii(std::string_view ascii) {
  std::string text;
  for (std::size_t at = 0; at < ascii.size();) {
    const auto letter = ascii[at] == '~' ? HexNumber(ascii.substr(at + 1, kDigits)) : std::nullopt;
    if (letter) {
      AppendUtf8(text, *letter);
      at += kWidth;
    } else {
      text += ascii[at++];
    }
  }
  return text;
}

TextPlace PlaceBefore(std::string_view text, TextPlace in_ascii) {
  std::size_t at = 0;
  for (std::size_t line = 1; line < in_ascii.line; ++line) {
    const auto end = text.find('\n', at);
    if (end == text.npos) break;
    at = end + 1;
  }
  TextPlace place{.line = in_ascii.line, .column = 1};
  std::size_t ascii_column = 1;
  while (at < text.size() && text[at] != '\n') {
    ascii_column += IsPlain(text[at]) ? 1 : kWidth;
    if (ascii_column > in_ascii.column) break;
    at = CharacterEnd(text, at);
    ++place.column;
  }
  return place;
}

TextPlace PlaceAt(std::string_view text, std::size_t offset) {
  TextPlace place;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if (!Continues(c)) {
      ++place.column;
    }
  }
  return place;
}

}  // namespace fallow
