#include "engine/tokenizer/byte_alphabet.h"

#include <array>

#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kFirstExtra = 0x100;

constexpr bool Printable(std::uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

struct Alphabet {
  std::array<std::uint32_t, 256> code_points{};
  std::array<std::int16_t, kFirstExtra + 256> bytes{};  // by code point, -1 where none
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  alphabet.bytes.fill(-1);
  std::uint32_t next_extra = kFirstExtra;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const std::uint32_t code_point = Printable(byte) ? byte : next_extra++;
    alphabet.code_points[byte] = code_point;
    alphabet.bytes[code_point] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::string SpellByte(std::uint8_t byte) {
  std::string text;
  AppendUtf8(kAlphabet.code_points[byte], text);
  return text;
}

std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  std::string bytes;
  while (!spelling.empty()) {
    const Utf8Step step = ReadUtf8(spelling);
    if (step.kind != Utf8Kind::kCharacter || step.code_point >= kAlphabet.bytes.size())
      return std::nullopt;
    const std::int16_t byte = kAlphabet.bytes[step.code_point];
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    spelling.remove_prefix(step.length);
  }
  return bytes;
}

}  // namespace fallow::engine
