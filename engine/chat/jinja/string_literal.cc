#include "engine/chat/jinja/string_literal.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

std::unexpected<Error> Bad(std::string_view complaint) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("in the string: {}", complaint));
}

// Reads `count` hexadecimal digits at `at` as a character.
Status AppendHex(std::string_view body, std::size_t& at, std::size_t count, std::string& text) {
  const std::string_view digits = body.substr(at, count);
  std::uint32_t code_point = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), code_point, 16);
  if (digits.size() < count || read.ec != std::errc() || read.ptr != digits.data() + count)
    return Bad("an escape has too few hexadecimal digits");
  at += count;
  // Half of a UTF-16 pair: JavaScript writes characters so, Python does not read them so.
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000))
    return Bad("an escape is not a character");
  AppendUtf8(code_point, text);
  return {};
}

void AppendOctal(std::string_view body, std::size_t& at, std::string& text) {
  std::uint32_t code_point = 0;
  for (int i = 0; i < 3 && at < body.size() && body[at] >= '0' && body[at] <= '7'; ++i, ++at)
    code_point = code_point * 8 + static_cast<std::uint32_t>(body[at] - '0');
  AppendUtf8(code_point, text);
}

}  // namespace

Result<std::string> UnescapeLiteral(std::string_view body) {
  constexpr std::string_view kMarks = "abfnrtv\\'\"";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
  std::string text;
  for (std::size_t at = 0; at < body.size();) {
    if (body[at] != '\\' || at + 1 == body.size()) {
      text += body[at++];
      continue;
    }
    const char mark = body[at + 1];
    at += 2;
    if (const std::size_t known = kMarks.find(mark); known != std::string_view::npos) {
      text += kMeanings[known];
    } else if (mark == 'x' || mark == 'u' || mark == 'U') {
      FALLOW_RETURN_IF_ERROR(AppendHex(body, at, mark == 'x' ? 2 : (mark == 'u' ? 4 : 8), text));
    } else if (mark >= '0' && mark <= '7') {
      AppendOctal(body, --at, text);
    } else if (mark == 'N') {
      return Bad("characters by name are not supported");
    } else if (mark != '\n') {
      text += '\\';
      text += mark;
    }
  }
  return text;
}

}  // namespace fallow::engine::jinja
