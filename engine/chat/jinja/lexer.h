// Cuts a template's source into text and the words of its tags, white space control applied.
//
// As Jinja with trim_blocks and lstrip_blocks on and keep_trailing_newline off, which is how chat
// templates are written: the line end after a statement or comment goes, and so do the blanks
// before one that begins a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::engine::jinja {

enum class TokenKind : std::uint8_t {
  kText,
  kOpenExpression,   // {{
  kCloseExpression,  // }}
  kOpenStatement,    // {%
  kCloseStatement,   // %}
  kName,
  kString,
  kInteger,
  kReal,
  kSign,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::size_t offset = 0;  // in the normalised source
  std::string text;        // of a string what it stands for, of others their spelling
  std::int64_t integer = 0;
  double real = 0;
};

// Source with line ends as "\n" and without one at its end; offsets refer to this.
std::string NormaliseSource(std::string_view source);

// "line 3, column 7"; columns count characters.
std::string PlaceName(std::string_view source, std::size_t offset);

// An error at a place of a template: "chat template, line 3, column 7: …".
std::unexpected<Error> FailAt(std::string_view source, std::size_t offset, Error error);

// All tokens of a normalised source; the last is kEnd.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace fallow::engine::jinja
