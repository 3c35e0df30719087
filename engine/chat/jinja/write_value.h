// Values as text: Python's str and repr, and JSON as Hugging Face's tojson filter writes it.
//
// Who wrote it: a text's bytes keep their marks, escapes go with the character they stand for, and
// the punctuation of lists and dictionaries counts as a message's, because a structure's spelling
// is never a control token. Numbers, booleans and None are the template's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/chat/jinja/text_builder.h"

namespace fallow::engine::jinja {

// str(value): a text as it is, undefined as nothing. An error for what has no portable spelling:
// functions, loops, namespaces, iterators.
Status AppendString(const Value& value, TextBuilder& out, Budget& budget);
// The same as a text value.
Result<Value> ToText(const Value& value, Budget& budget);

struct JsonStyle {
  bool only_ascii = false;
  bool sorted_keys = false;
  std::optional<std::string> indent;  // one level; none: everything on one line
  std::string item_separator = ", ";  // "," where there is an indent
  std::string key_separator = ": ";
};
// json.dumps(value). An error for what JSON cannot say.
Status AppendJson(const Value& value, const JsonStyle& style, TextBuilder& out, Budget& budget);

// Python's repr of a float: the shortest digits that read back as the same number.
std::string WriteReal(double number);

}  // namespace fallow::engine::jinja
