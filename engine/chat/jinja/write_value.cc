#include "engine/chat/jinja/write_value.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <charconv>
#include <cmath>

#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

constexpr Writer kPunctuation = Writer::kMessage;

// Characters that Python's repr writes as escapes: controls, format marks, spaces other than the
// blank, and what is no character at all.
bool IsEscapedByRepr(std::uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    case UTF8PROC_CATEGORY_ZS:
      return c != ' ';
    default:
      return false;
  }
}

std::string ReprEscape(std::uint32_t c) {
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  if (c < 0x100) return fmt::format("\\x{:02x}", c);
  return c < 0x10000 ? fmt::format("\\u{:04x}", c) : fmt::format("\\U{:08x}", c);
}

void AppendTextRepr(const Text& text, TextBuilder& out) {
  const std::string_view bytes = text.bytes();
  const bool double_quotes =
      bytes.find('\'') != std::string_view::npos && bytes.find('"') == std::string_view::npos;
  const std::string_view quote = double_quotes ? "\"" : "'";
  out.Append(quote, kPunctuation);
  for (std::size_t at = 0; at < bytes.size() && !out.full();) {
    const Utf8Step step = ReadUtf8(bytes.substr(at));
    const std::size_t length = CharacterBytes(bytes.substr(at));
    const std::uint32_t c =
        step.kind == Utf8Kind::kCharacter ? step.code_point : static_cast<unsigned char>(bytes[at]);
    if (c == '\\' || c == static_cast<unsigned char>(quote[0])) {
      out.Append("\\", text.WriterAt(at));
      out.Append(text, at, length);
    } else if (IsEscapedByRepr(c)) {
      out.Append(ReprEscape(c), text.WriterAt(at));
    } else {
      out.Append(text, at, length);
    }
    at += length;
  }
  out.Append(quote, kPunctuation);
}

// None, a boolean or a number; false if it is something else.
bool AppendScalar(const Value& value, TextBuilder& out) {
  if (value.IsNone()) {
    out.Append("None", Writer::kTemplate);
  } else if (const bool* truth = value.boolean()) {
    out.Append(*truth ? "True" : "False", Writer::kTemplate);
  } else if (const auto number = value.integer()) {
    out.Append(fmt::format("{}", *number), Writer::kTemplate);
  } else if (const double* real = value.real()) {
    out.Append(WriteReal(*real), Writer::kTemplate);
  } else {
    return false;
  }
  return true;
}

std::unexpected<Error> NoSpelling(const Value& value) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("a value of type {} cannot be printed", TypeName(value)));
}

Status AppendRepr(const Value& value, TextBuilder& out, Budget& budget);

Status AppendSequenceRepr(const Sequence& sequence, TextBuilder& out, Budget& budget) {
  const bool tuple = sequence.kind == SequenceKind::kTuple;
  out.Append(tuple ? "(" : "[", kPunctuation);
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out.Append(", ", kPunctuation);
    FALLOW_RETURN_IF_ERROR(AppendRepr(sequence.items[i], out, budget));
  }
  if (tuple && sequence.items.size() == 1) out.Append(",", kPunctuation);
  out.Append(tuple ? ")" : "]", kPunctuation);
  return {};
}

Status AppendMappingRepr(const Mapping& mapping, TextBuilder& out, Budget& budget) {
  out.Append("{", kPunctuation);
  bool first = true;
  for (const auto& [key, element] : mapping.entries()) {
    if (!first) out.Append(", ", kPunctuation);
    first = false;
    FALLOW_RETURN_IF_ERROR(AppendRepr(key, out, budget));
    out.Append(": ", kPunctuation);
    FALLOW_RETURN_IF_ERROR(AppendRepr(element, out, budget));
  }
  out.Append("}", kPunctuation);
  return {};
}

Status AppendRepr(const Value& value, TextBuilder& out, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(1));
  if (AppendScalar(value, out)) return {};
  if (value.IsUndefined()) {
    out.Append("Undefined", kPunctuation);
    return {};
  }
  if (const Text* text = value.text()) {
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(text->size()));
    AppendTextRepr(*text, out);
    return {};
  }
  if (const Mapping* mapping = value.mapping()) return AppendMappingRepr(*mapping, out, budget);
  const Sequence* sequence = value.sequence();
  if (sequence == nullptr ||
      (sequence->kind != SequenceKind::kList && sequence->kind != SequenceKind::kTuple)) {
    return NoSpelling(value);
  }
  return AppendSequenceRepr(*sequence, out, budget);
}

}  // namespace

Status AppendString(const Value& value, TextBuilder& out, Budget& budget) {
  if (value.IsUndefined()) return {};
  const Text* text = value.text();
  if (text == nullptr) return AppendRepr(value, out, budget);
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text->size()));
  out.Append(*text);
  return {};
}

Result<Value> ToText(const Value& value, Budget& budget) {
  if (value.text() != nullptr) return value;
  TextBuilder out;
  FALLOW_RETURN_IF_ERROR(AppendString(value, out, budget));
  return MakeText(out.Take(), budget);
}

std::string WriteReal(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[32];
  const auto written =
      std::to_chars(std::begin(buffer), std::end(buffer), number, std::chars_format::scientific);
  std::string_view rest(buffer, static_cast<std::size_t>(written.ptr - buffer));
  const std::string sign(rest.starts_with('-') ? "-" : "");
  rest.remove_prefix(sign.size());
  const std::size_t mark = rest.find('e');
  std::string digits(rest.substr(0, mark));
  if (digits.size() > 1) digits.erase(1, 1);
  int exponent = 0;
  const std::string_view power = rest.substr(mark + (rest[mark + 1] == '+' ? 2 : 1));
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    if (count > 1) digits.insert(1, ".");
    return fmt::format("{}{}e{}{:02}", sign, digits, exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1) {
    return sign + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  }
  return sign + digits.insert(static_cast<std::size_t>(exponent) + 1, ".");
}

}  // namespace fallow::engine::jinja
