#include <fmt/format.h>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/percent_format.h"
#include "engine/chat/jinja/text_operations.h"
#include "engine/chat/jinja/write_value.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

Result<Value> Trim(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value text, ToText(self, context.budget));
  return StripText(*text.text(), {}, arguments.values[0], context.budget);
}

template <Case wanted>
Result<Value> ToCase(const Value& self, const Bound&, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value text, ToText(self, context.budget));
  return ChangeTextCase(*text.text(), wanted, context.budget);
}

bool EndsWord(std::uint32_t c) {
  return IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

// Jinja's own: a word begins after white space, a hyphen or an opening bracket.
Result<Value> Title(const Value& self, const Bound&, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value value, ToText(self, context.budget));
  const Text& text = *value.text();
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text.size()));
  TextBuilder out;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = ReadUtf8(std::string_view(text.bytes()).substr(at));
    const bool ends = step.kind == Utf8Kind::kCharacter && EndsWord(step.code_point);
    at += step.kind == Utf8Kind::kCharacter ? step.length : 1;
    if (!ends && at < text.size()) continue;
    FALLOW_ASSIGN_OR_RETURN(const Text word,
                            ChangeCase(text.Slice(begin, at - begin), Case::kWord));
    out.Append(word);
    begin = at;
  }
  return MakeText(out.Take(), context.budget);
}

Result<Value> Replace(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value text, ToText(self, context.budget));
  FALLOW_ASSIGN_OR_RETURN(const Value old, ToText(*arguments.values[0], context.budget));
  FALLOW_ASSIGN_OR_RETURN(const Value fresh, ToText(*arguments.values[1], context.budget));
  FALLOW_ASSIGN_OR_RETURN(const auto count, AsOptionalInteger(arguments.values[2], "count"));
  return ReplaceText(*text.text(), *old.text(), *fresh.text(), count, context.budget);
}

// Every line but the first (and empty ones) gets `width` blanks, or the text `width`, in front.
Result<Value> Indent(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* text, AsText(self, "indented"));
  const Value width = arguments.Or(0, std::int64_t{4});
  Text margin;
  if (width.text() != nullptr) {
    margin = *width.text();
  } else {
    FALLOW_ASSIGN_OR_RETURN(const std::size_t count, AsPadding(width, "width"));
    margin.Append(std::string(count, ' '), Writer::kTemplate);
  }
  const bool first = IsTrue(arguments.Or(1, false));
  const bool blank = IsTrue(arguments.Or(2, false));
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text->size()));
  TextBuilder out;
  Text ended = *text;
  ended.Append("\n",
               Writer::kMessage);  // so that a text that ends a line has an empty one after it
  const std::vector<Text> lines = SplitLines(ended);
  for (std::size_t i = 0; i < lines.size() && !out.full(); ++i) {
    const bool marked = i == 0 ? first : (blank || !lines[i].empty());
    if (i > 0) out.Append("\n", Writer::kMessage);
    if (marked) out.Append(margin);
    out.Append(lines[i]);
  }
  return MakeText(out.Take(), context.budget);
}

Result<Value> Escape(const Value& self, const Bound&, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value value, ToText(self, context.budget));
  const Text& text = *value.text();
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text.size()));
  TextBuilder out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    constexpr std::string_view kMarks = "&<>\"'";
    constexpr std::string_view kNames[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    const std::size_t mark = kMarks.find(text.bytes()[i]);
    if (mark == std::string_view::npos) {
      out.Append(text, i, 1);
    } else {
      out.Append(kNames[mark], text.WriterAt(i));
    }
  }
  return MakeText(out.Take(), context.budget);
}

Result<Value> Format(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value format, ToText(self, context.budget));
  if (!arguments.rest.named.empty())
    return Fail(ErrorCode::kUnimplemented, "format: named arguments are not supported");
  FALLOW_ASSIGN_OR_RETURN(const Value values, MakeSequence(arguments.rest.positional,
                                                           SequenceKind::kTuple, context.budget));
  return FormatPercent(*format.text(), values, context.budget);
}

Status ReadSeparators(const Value& value, JsonStyle& style) {
  const Sequence* pair = value.sequence();
  if (pair == nullptr || pair->items.size() != 2)
    return Fail(ErrorCode::kInvalidArgument, "tojson: separators must be two texts");
  FALLOW_ASSIGN_OR_RETURN(const Text* item, AsText(pair->items[0], "separators"));
  FALLOW_ASSIGN_OR_RETURN(const Text* key, AsText(pair->items[1], "separators"));
  if (item->size() > kMaxPaddingCharacters || key->size() > kMaxPaddingCharacters)
    return Fail(ErrorCode::kResourceExhausted, "tojson: a separator is too long");
  style.item_separator = item->bytes();
  style.key_separator = key->bytes();
  return {};
}

// Hugging Face's filter, which templates are written for, not Jinja's own, which escapes for HTML
// and sorts keys.
Result<Value> ToJson(const Value& self, const Bound& arguments, Context& context) {
  JsonStyle style;
  style.only_ascii = IsTrue(arguments.Or(0, false));
  style.sorted_keys = IsTrue(arguments.Or(3, false));
  const Value indent = arguments.Or(1, None{});
  if (const Text* margin = indent.text()) {
    if (margin->size() > kMaxPaddingCharacters)
      return Fail(ErrorCode::kResourceExhausted, "tojson: the indent is too long");
    style.indent = margin->bytes();
  } else if (!indent.IsNone()) {
    FALLOW_ASSIGN_OR_RETURN(const std::size_t width, AsPadding(indent, "indent"));
    style.indent = std::string(width, ' ');
  }
  if (style.indent.has_value()) style.item_separator = ",";
  const Value separators = arguments.Or(2, None{});
  if (!separators.IsNone()) FALLOW_RETURN_IF_ERROR(ReadSeparators(separators, style));
  TextBuilder out;
  FALLOW_RETURN_IF_ERROR(AppendJson(self, style, out, context.budget));
  return MakeText(out.Take(), context.budget);
}

Result<Value> Same(const Value& self, const Bound&, Context& context) {
  return ToText(self, context.budget);
}

}  // namespace

std::span<const Function> TextFilters() {
  static constexpr Function kRows[] = {
      {.name = "trim", .run = Trim, .parameters = {"chars"}},
      {.name = "upper", .run = ToCase<Case::kUpper>},
      {.name = "lower", .run = ToCase<Case::kLower>},
      {.name = "capitalize", .run = ToCase<Case::kCapital>},
      {.name = "title", .run = Title},
      {.name = "replace",
       .run = Replace,
       .parameters = {"old", "new", "count"},
       .required_count = 2},
      {.name = "indent", .run = Indent, .parameters = {"width", "first", "blank"}},
      {.name = "format", .run = Format, .takes_more = true},
      {.name = "string", .run = Same},
      {.name = "safe", .run = Same},
      {.name = "escape", .run = Escape},
      {.name = "e", .run = Escape},
      {.name = "tojson",
       .run = ToJson,
       .parameters = {"ensure_ascii", "indent", "separators", "sort_keys"}},
  };
  return kRows;
}

}  // namespace fallow::engine::jinja
