#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/chat/jinja/write_value.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

constexpr Writer kPunctuation = Writer::kMessage;

// What stands for the character in a JSON string; empty if it stands for itself.
std::string JsonEscape(std::uint32_t c, bool only_ascii) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\f':
      return "\\f";
    case '\b':
      return "\\b";
    default:
      break;
  }
  if (c >= 0x20 && (c < 0x7F || !only_ascii)) return {};
  if (c == 0x7F) return {};
  if (c < 0x10000) return fmt::format("\\u{:04x}", c);
  const std::uint32_t offset = c - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (offset >> 10), 0xDC00 + (offset & 0x3FF));
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, TextBuilder& out, Budget& budget)
      : style_(style), out_(out), budget_(budget) {}

  Status Append(const Value& value) {
    FALLOW_RETURN_IF_ERROR(budget_.SpendSteps(1));
    if (value.IsNone()) {
      out_.Append("null", Writer::kTemplate);
    } else if (const bool* truth = value.boolean()) {
      out_.Append(*truth ? "true" : "false", Writer::kTemplate);
    } else if (const auto number = value.integer()) {
      out_.Append(fmt::format("{}", *number), Writer::kTemplate);
    } else if (const double* real = value.real()) {
      AppendReal(*real);
    } else if (const Text* text = value.text()) {
      return AppendText(*text);
    } else if (const Mapping* mapping = value.mapping()) {
      return AppendMapping(*mapping);
    } else if (const Sequence* sequence = value.sequence();
               sequence != nullptr &&
               (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple)) {
      return AppendSequence(*sequence);
    } else {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("a value of type {} cannot be written as JSON", TypeName(value)));
    }
    return {};
  }

 private:
  void AppendReal(double number) {
    if (std::isnan(number)) {
      out_.Append("NaN", Writer::kTemplate);
    } else if (std::isinf(number)) {
      out_.Append(number < 0 ? "-Infinity" : "Infinity", Writer::kTemplate);
    } else {
      out_.Append(WriteReal(number), Writer::kTemplate);
    }
  }

  Status AppendText(const Text& text) {
    const std::string_view bytes = text.bytes();
    FALLOW_RETURN_IF_ERROR(budget_.SpendReading(bytes.size()));
    out_.Append("\"", kPunctuation);
    for (std::size_t at = 0; at < bytes.size() && !out_.full();) {
      const Utf8Step step = ReadUtf8(bytes.substr(at));
      const std::size_t length = CharacterBytes(bytes.substr(at));
      const std::string escape = step.kind == Utf8Kind::kCharacter
                                     ? JsonEscape(step.code_point, style_.only_ascii)
                                     : std::string();
      if (escape.empty()) {
        out_.Append(text, at, length);
      } else {
        out_.Append(escape, text.WriterAt(at));
      }
      at += length;
    }
    out_.Append("\"", kPunctuation);
    return {};
  }

  void BreakLine() {
    if (!style_.indent.has_value()) return;
    out_.Append("\n", kPunctuation);
    for (std::uint32_t i = 0; i < level_; ++i) out_.Append(*style_.indent, kPunctuation);
  }

  Status AppendSequence(const Sequence& sequence) {
    if (sequence.items.empty()) {
      out_.Append("[]", kPunctuation);
      return {};
    }
    out_.Append("[", kPunctuation);
    ++level_;
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator, kPunctuation);
      BreakLine();
      FALLOW_RETURN_IF_ERROR(Append(sequence.items[i]));
    }
    --level_;
    BreakLine();
    out_.Append("]", kPunctuation);
    return {};
  }

  Status AppendMapping(const Mapping& mapping) {
    if (mapping.size() == 0) {
      out_.Append("{}", kPunctuation);
      return {};
    }
    std::vector<const Mapping::Entry*> entries;
    for (const Mapping::Entry& entry : mapping.entries()) entries.push_back(&entry);
    if (style_.sorted_keys) {
      std::ranges::sort(entries, {}, [](const Mapping::Entry* entry) -> const std::string& {
        return entry->first.text()->bytes();
      });
    }
    out_.Append("{", kPunctuation);
    ++level_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator, kPunctuation);
      BreakLine();
      FALLOW_RETURN_IF_ERROR(AppendText(*entries[i]->first.text()));
      out_.Append(style_.key_separator, kPunctuation);
      FALLOW_RETURN_IF_ERROR(Append(entries[i]->second));
    }
    --level_;
    BreakLine();
    out_.Append("}", kPunctuation);
    return {};
  }

  const JsonStyle& style_;
  TextBuilder& out_;
  Budget& budget_;
  std::uint32_t level_ = 0;
};

}  // namespace

Status AppendJson(const Value& value, const JsonStyle& style, TextBuilder& out, Budget& budget) {
  return JsonWriter(style, out, budget).Append(value);
}

}  // namespace fallow::engine::jinja
