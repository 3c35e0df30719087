#include "engine/chat/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/chat/jinja/string_literal.h"
#include "engine/chat/jinja/text.h"
#include "engine/chat/limits.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> Run() {
    while (at_ < source_.size()) FALLOW_RETURN_IF_ERROR(ReadTextAndTag());
    Add(TokenKind::kEnd, "end of the template");
    return std::move(tokens_);
  }

 private:
  std::unexpected<Error> Bad(std::size_t offset, std::string message) const {
    return FailAt(source_, offset, {ErrorCode::kInvalidArgument, std::move(message)});
  }

  void Add(TokenKind kind, std::string text) { tokens_.push_back({kind, at_, std::move(text)}); }
  bool Has(std::string_view word) const { return source_.substr(at_).starts_with(word); }
  char Current() const { return at_ < source_.size() ? source_[at_] : '\0'; }

  std::size_t FindTag() const {
    std::size_t open = source_.find('{', at_);
    while (open != std::string_view::npos) {
      const char next = open + 1 < source_.size() ? source_[open + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return open;
      open = source_.find('{', open + 1);
    }
    return source_.size();
  }

  // The text from here up to a tag that opens with `sign` ('-', '+' or none), stripped as it asks.
  // `expression`: the tag is no statement, and only '-' strips.
  std::string_view TextBefore(std::size_t open, char sign, bool expression) const {
    const std::string_view text = source_.substr(at_, open - at_);
    if (sign == '-') return StripRight(text);
    if (sign == '+' || expression) return text;
    const std::size_t line = text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1;
    const bool starts_line = line > 0 || at_ == 0 || source_[at_ - 1] == '\n';
    return starts_line && StripRight(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  void AddText(std::string_view text) {
    if (!text.empty()) Add(TokenKind::kText, std::string(text));
  }

  Status ReadTextAndTag() {
    const std::size_t open = FindTag();
    if (open == source_.size()) {
      AddText(source_.substr(at_));
      at_ = open;
      return {};
    }
    const char kind = source_[open + 1];
    const char next = open + 2 < source_.size() ? source_[open + 2] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    AddText(TextBefore(open, sign, kind == '{'));
    at_ = open + (sign == '\0' ? 2 : 3);
    if (kind == '#') return SkipComment(open);
    if (kind == '%' && TakeRawOpening()) return ReadRaw(open);
    return ReadTag(open, kind == '%');
  }

  // What follows a closing tag: '-' takes all white space, no sign one line end if `trims`.
  void SkipAfter(char sign, bool trims) {
    if (sign == '-') {
      SkipSpace();
    } else if (sign != '+' && trims && Current() == '\n') {
      ++at_;
    }
  }

  void SkipSpace() {
    while (at_ < source_.size()) {
      const Utf8Step step = ReadUtf8(source_.substr(at_));
      if (step.kind != Utf8Kind::kCharacter || !IsSpace(step.code_point)) return;
      at_ += step.length;
    }
  }

  Status SkipComment(std::size_t open) {
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string_view::npos) return Bad(open, "the comment does not end");
    const char before = close > at_ ? source_[close - 1] : '\0';
    at_ = close + 2;
    SkipAfter(before, true);
    return {};
  }

  // Takes "raw %}" if it stands here.
  bool TakeRawOpening() {
    const std::size_t start = at_;
    SkipSpace();
    if (Has("raw")) {
      at_ += 3;
      SkipSpace();
      const bool strips = Has("-%}");
      if (strips || Has("%}")) {
        at_ += strips ? 3 : 2;
        if (strips) SkipSpace();
        return true;
      }
    }
    at_ = start;
    return false;
  }

  Status ReadRaw(std::size_t open) {
    for (std::size_t tag = source_.find("{%", at_); tag != std::string_view::npos;
         tag = source_.find("{%", tag + 2)) {
      const std::size_t text_start = at_;
      const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      const char sign = next == '-' || next == '+' ? next : '\0';
      const std::string_view text = TextBefore(tag, sign, false);
      at_ = tag + (sign == '\0' ? 2 : 3);
      SkipSpace();
      if (Has("endraw")) {
        at_ += 6;
        SkipSpace();
        const char end_sign = Has("-%}") ? '-' : (Has("+%}") ? '+' : '\0');
        if (end_sign != '\0' || Has("%}")) {
          at_ += end_sign == '\0' ? 2 : 3;
          SkipAfter(end_sign, true);
          AddText(text);
          return {};
        }
      }
      at_ = text_start;
    }
    return Bad(open, "the raw block does not end");
  }

  Status ReadTag(std::size_t open, bool statement) {
    const std::string_view close = statement ? "%}" : "}}";
    tokens_.push_back({statement ? TokenKind::kOpenStatement : TokenKind::kOpenExpression, open,
                       statement ? "{%" : "{{"});
    brackets_.clear();
    while (true) {
      const char sign = Has(fmt::format("-{}", close)) ? '-' : '\0';
      const bool plus = statement && Has("+%}");
      if (brackets_.empty() && (sign == '-' || plus || Has(close))) {
        Add(statement ? TokenKind::kCloseStatement : TokenKind::kCloseExpression,
            std::string(close));
        at_ += sign == '-' || plus ? 3 : 2;
        SkipAfter(plus ? '+' : sign, statement);
        return {};
      }
      if (at_ == source_.size()) return Bad(open, "the tag does not end");
      const std::size_t before = at_;
      SkipSpace();
      if (at_ == before) FALLOW_RETURN_IF_ERROR(ReadWord());
    }
  }

  Status ReadWord() {
    const char c = Current();
    if (IsDigit(c)) return ReadNumber();
    if (c == '\'' || c == '"') return ReadString();
    if (!IsNameStart(c)) return ReadSign();
    std::size_t end = at_;
    while (end < source_.size() && (IsNameStart(source_[end]) || IsDigit(source_[end]))) ++end;
    if (end - at_ > kMaxNameBytes) {
      return FailAt(source_, at_,
                    {ErrorCode::kResourceExhausted,
                     fmt::format("a name of more than {} bytes", kMaxNameBytes)});
    }
    Add(TokenKind::kName, std::string(source_.substr(at_, end - at_)));
    at_ = end;
    return {};
  }

  std::size_t EndOfDigits(std::size_t from) const {
    while (from < source_.size() && IsDigit(source_[from])) ++from;
    return from;
  }

  Status ReadNumber() {
    const auto digit_at = [&](std::size_t at) {
      return at < source_.size() && IsDigit(source_[at]);
    };
    std::size_t end = EndOfDigits(at_);
    bool real = false;
    const bool member = at_ > 0 && source_[at_ - 1] == '.';  // a.0.1 has no fraction
    if (!member && end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
      real = true;
      end = EndOfDigits(end + 1);
    }
    if (!member && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const bool sign =
          end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-');
      if (digit_at(end + (sign ? 2 : 1))) {
        real = true;
        end = EndOfDigits(end + (sign ? 2 : 1));
      }
    }
    if (end < source_.size() && IsNameStart(source_[end]))
      return Bad(at_, "only decimal numbers without underscores are supported");
    if (!real && source_[at_] == '0' && end > at_ + 1)
      return Bad(at_, "an integer begins with a zero");
    Token token{real ? TokenKind::kReal : TokenKind::kInteger, at_,
                std::string(source_.substr(at_, end - at_))};
    const char* first = token.text.data();
    const char* last = first + token.text.size();
    const auto read = real ? std::from_chars(first, last, token.real)
                           : std::from_chars(first, last, token.integer);
    if (read.ec != std::errc()) return Bad(at_, "the number does not fit in 64 bits");
    tokens_.push_back(std::move(token));
    at_ = end;
    return {};
  }

  Status ReadString() {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != source_[at_])
      end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return Bad(at_, "the string does not end");
    auto text = UnescapeLiteral(source_.substr(at_ + 1, end - at_ - 1));
    if (!text.has_value()) return FailAt(source_, at_, text.error());
    Add(TokenKind::kString, *std::move(text));
    at_ = end + 1;
    return {};
  }

  Status ReadSign() {
    constexpr std::string_view kSigns[] = {"//", "**", "==", "!=", "<=", ">=", "+", "-", "*",
                                           "/",  "%",  "~",  "(",  ")",  "[",  "]", "{", "}",
                                           "<",  ">",  "=",  ".",  ":",  "|",  ","};
    const auto sign =
        std::ranges::find_if(kSigns, [&](std::string_view candidate) { return Has(candidate); });
    if (sign == std::end(kSigns)) {
      const std::size_t length = CharacterBytes(source_.substr(at_));
      return Bad(at_, fmt::format("\"{}\" is not part of the language",
                                  Shown(source_.substr(at_, length))));
    }
    FALLOW_RETURN_IF_ERROR(CountBracket((*sign)[0]));
    Add(TokenKind::kSign, std::string(*sign));
    at_ += sign->size();
    return {};
  }

  // A tag ends only where all its brackets are closed.
  Status CountBracket(char sign) {
    constexpr std::string_view kOpening = "([{", kClosing = ")]}";
    if (kOpening.find(sign) != std::string_view::npos) brackets_ += sign;
    const std::size_t closing = kClosing.find(sign);
    if (closing == std::string_view::npos) return {};
    if (brackets_.empty() || brackets_.back() != kOpening[closing])
      return Bad(at_, fmt::format("'{}' closes nothing that is open", sign));
    brackets_.pop_back();
    return {};
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::string brackets_;  // open in this tag
  std::vector<Token> tokens_;
};

}  // namespace

std::string NormaliseSource(std::string_view source) {
  std::string normal;
  normal.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (!pair) normal += source[i] == '\r' ? '\n' : source[i];
  }
  if (normal.ends_with('\n')) normal.pop_back();
  return normal;
}

std::string PlaceName(std::string_view source, std::size_t offset) {
  const std::string_view before = source.substr(0, std::min(offset, source.size()));
  const std::size_t line_start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("line {}, column {}", 1 + std::ranges::count(before, '\n'),
                     1 + CountCharacters(before.substr(line_start)));
}

std::unexpected<Error> FailAt(std::string_view source, std::size_t offset, Error error) {
  return Fail(error.code,
              fmt::format("chat template, {}: {}", PlaceName(source, offset), error.message));
}

Result<std::vector<Token>> Tokenize(std::string_view source) {
  return Lexer(source).Run();
}

}  // namespace fallow::engine::jinja
