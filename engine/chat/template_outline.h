// A TemplateOutline is what a simple Jinja template writes, in order: texts, message fields, and
// the blocks around them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::engine {

struct OutlinePart {
  enum class Kind : std::uint8_t { kText, kExpression, kStatement };
  Kind kind = Kind::kText;
  std::string text;  // of an expression or statement: its words, one space between, strings in
                     // single quotes
  bool operator==(const OutlinePart&) const = default;
};

// None when the template holds what an outline cannot say (comments, filters, broken tags).
// Neighbouring texts are one; attribute access is written a['b']; white space follows the
// trim_blocks and lstrip_blocks options.
std::optional<std::vector<OutlinePart>> OutlineTemplate(std::string_view chat_template);

}  // namespace fallow::engine
