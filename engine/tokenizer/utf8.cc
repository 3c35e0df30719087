#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

// What a lead byte allows: how many bytes follow, and the range of the first of them, which rules
// out overlong forms, surrogates and values beyond U+10FFFF.
struct Lead {
  std::uint32_t following = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  std::uint32_t bits = 0;
};

bool FindLead(std::uint8_t byte, Lead& lead) {
  if (byte >= 0xC2 && byte <= 0xDF) {
    lead = {1, 0x80, 0xBF, byte & 0x1Fu};
  } else if (byte >= 0xE0 && byte <= 0xEF) {
    lead = {2, static_cast<std::uint8_t>(byte == 0xE0 ? 0xA0 : 0x80),
            static_cast<std::uint8_t>(byte == 0xED ? 0x9F : 0xBF), byte & 0x0Fu};
  } else if (byte >= 0xF0 && byte <= 0xF4) {
    lead = {3, static_cast<std::uint8_t>(byte == 0xF0 ? 0x90 : 0x80),
            static_cast<std::uint8_t>(byte == 0xF4 ? 0x8F : 0xBF), byte & 0x07u};
  } else {
    return false;
  }
  return true;
}

}  // namespace

Utf8Step ReadUtf8(std::string_view text) {
  const auto first = static_cast<std::uint8_t>(text[0]);
  if (first < 0x80) return {Utf8Kind::kCharacter, 1, first};
  Lead lead;
  if (!FindLead(first, lead)) return {Utf8Kind::kBroken, 1, 0};
  std::uint32_t code_point = lead.bits;
  for (std::uint32_t i = 1; i <= lead.following; ++i) {
    if (i == text.size()) return {Utf8Kind::kIncomplete, i, 0};
    const auto byte = static_cast<std::uint8_t>(text[i]);
    const std::uint8_t low = i == 1 ? lead.low : 0x80;
    const std::uint8_t high = i == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high) return {Utf8Kind::kBroken, i, 0};
    code_point = code_point << 6 | (byte & 0x3Fu);
  }
  return {Utf8Kind::kCharacter, lead.following + 1, code_point};
}

void AppendUtf8(std::uint32_t code_point, std::string& text) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | code_point >> 6);
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | code_point >> 12);
    text += static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | code_point >> 18);
    text += static_cast<char>(0x80 | (code_point >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  }
}

}  // namespace fallow::engine
