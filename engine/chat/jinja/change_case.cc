#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "engine/chat/jinja/text.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

enum class Letter : std::uint8_t { kUpper, kLower, kTitle };

constexpr std::uint32_t kSharpS = 0xDF;
constexpr std::uint32_t kDottedI = 0x130;
constexpr std::uint32_t kCapitalSigma = 0x3A3;

// Characters that several stand for in upper case.
struct Range {
  std::uint32_t first;
  std::uint32_t last;
};
constexpr Range kSeveralInUpperCase[] = {
    {0x149, 0x149},   {0x1F0, 0x1F0},   {0x390, 0x390},   {0x3B0, 0x3B0},   {0x587, 0x587},
    {0x1E96, 0x1E9A}, {0x1F50, 0x1F50}, {0x1F52, 0x1F52}, {0x1F54, 0x1F54}, {0x1F56, 0x1F56},
    {0x1F80, 0x1FAF}, {0x1FB2, 0x1FB7}, {0x1FBC, 0x1FBC}, {0x1FC2, 0x1FC7}, {0x1FCC, 0x1FCC},
    {0x1FD2, 0x1FD7}, {0x1FE2, 0x1FE7}, {0x1FF2, 0x1FF7}, {0x1FFC, 0x1FFC}, {0xFB00, 0xFB06},
    {0xFB13, 0xFB17}};

bool IsPlain(std::uint32_t c, Letter wanted) {
  if (wanted == Letter::kLower) return c != kDottedI && c != kCapitalSigma;
  return std::ranges::none_of(
      kSeveralInUpperCase, [&](const Range& range) { return c >= range.first && c <= range.last; });
}

char ConvertAscii(char c, Letter wanted) {
  const bool lower = c >= 'a' && c <= 'z';
  const bool upper = c >= 'A' && c <= 'Z';
  if (wanted == Letter::kLower) return upper ? static_cast<char>(c - 'A' + 'a') : c;
  return lower ? static_cast<char>(c - 'a' + 'A') : c;
}

// The character in the wanted case. It must be plain.
std::string Convert(std::uint32_t c, Letter wanted) {
  if (c == kSharpS && wanted != Letter::kLower) return wanted == Letter::kUpper ? "SS" : "Ss";
  const auto code_point = static_cast<utf8proc_int32_t>(c);
  const utf8proc_int32_t made = wanted == Letter::kUpper   ? utf8proc_toupper(code_point)
                                : wanted == Letter::kLower ? utf8proc_tolower(code_point)
                                                           : utf8proc_totitle(code_point);
  std::string text;
  AppendUtf8(static_cast<std::uint32_t>(made), text);
  return text;
}

bool HasCase(std::uint32_t c) {
  const utf8proc_category_t kind = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL ||
         kind == UTF8PROC_CATEGORY_LT;
}

Letter LetterFor(Case wanted, bool first, bool after_letter) {
  switch (wanted) {
    case Case::kUpper:
      return Letter::kUpper;
    case Case::kCapital:
      return first ? Letter::kTitle : Letter::kLower;
    case Case::kWord:
      return first ? Letter::kUpper : Letter::kLower;
    case Case::kTitle:
      return after_letter ? Letter::kLower : Letter::kTitle;
    case Case::kLower:
      break;
  }
  return Letter::kLower;
}

}  // namespace

Result<Text> ChangeCase(const Text& text, Case wanted) {
  Text changed;
  bool after_letter = false;
  const std::string_view bytes = text.bytes();
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Step step = ReadUtf8(bytes.substr(at));
    if (step.kind != Utf8Kind::kCharacter) {
      changed.Append(text, at++, 1);
      continue;
    }
    const Letter letter = LetterFor(wanted, at == 0, after_letter);
    if (step.code_point < 0x80) {  // most are, and need no tables
      const char made = ConvertAscii(bytes[at], letter);
      changed.Append({&made, 1}, text.WriterAt(at));
      after_letter =
          made != ConvertAscii(made, Letter::kLower) || made != ConvertAscii(made, Letter::kUpper);
      ++at;
      continue;
    }
    if (!IsPlain(step.code_point, letter)) {
      return Fail(ErrorCode::kUnimplemented,
                  fmt::format("the case of U+{:04X} cannot be changed", step.code_point));
    }
    changed.Append(Convert(step.code_point, letter), text.WriterAt(at));
    after_letter = HasCase(step.code_point);
    at += step.length;
  }
  return changed;
}

}  // namespace fallow::engine::jinja
