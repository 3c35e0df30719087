#include "engine/chat/template_outline.h"

#include <cctype>

namespace fallow::engine {
namespace {

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// A word, a string literal or one sign of an expression.
struct Lexeme {
  bool literal = false;
  std::string text;
};

// Reads the string literal that `code` starts with and removes it.
std::optional<std::string> TakeLiteral(std::string_view& code) {
  const char quote = code[0];
  std::string text;
  for (std::size_t i = 1; i < code.size(); ++i) {
    char c = code[i];
    if (c == quote) {
      code.remove_prefix(i + 1);
      return text;
    }
    if (c == '\\') {
      if (++i == code.size()) return std::nullopt;
      switch (code[i]) {
        case 'n':
          c = '\n';
          break;
        case 't':
          c = '\t';
          break;
        case '\\':
        case '\'':
        case '"':
          c = code[i];
          break;
        default:
          return std::nullopt;
      }
    }
    text += c;
  }
  return std::nullopt;
}

std::optional<std::vector<Lexeme>> Lex(std::string_view code) {
  std::vector<Lexeme> lexemes;
  while (!code.empty()) {
    if (IsSpace(code[0])) {
      code.remove_prefix(1);
    } else if (code[0] == '\'' || code[0] == '"') {
      auto literal = TakeLiteral(code);
      if (!literal.has_value()) return std::nullopt;
      lexemes.push_back({true, *std::move(literal)});
    } else {
      std::size_t length = 1;
      if (IsWordCharacter(code[0])) {
        while (length < code.size() && IsWordCharacter(code[length])) ++length;
      }
      lexemes.push_back({false, std::string(code.substr(0, length))});
      code.remove_prefix(length);
    }
  }
  return lexemes;
}

class OutlineWriter {
 public:
  void AddText(std::string_view text) {
    if (text.empty()) return;
    if (!parts_.empty() && parts_.back().kind == OutlinePart::Kind::kText) {
      parts_.back().text += text;
    } else {
      parts_.push_back({OutlinePart::Kind::kText, std::string(text)});
    }
  }

  // A sum of literals and message fields.
  bool AddExpression(std::string_view code) {
    const auto lexemes = Lex(code);
    if (!lexemes.has_value() || lexemes->empty()) return false;
    std::size_t at = 0;
    while (at < lexemes->size()) {
      if (at > 0) {
        if (!IsSign((*lexemes)[at], "+")) return false;
        ++at;
      }
      if (at == lexemes->size()) return false;
      if ((*lexemes)[at].literal) {
        AddText((*lexemes)[at++].text);
      } else if (!AddField(*lexemes, at)) {
        return false;
      }
    }
    return true;
  }

  bool AddStatement(std::string_view code) {
    const auto lexemes = Lex(code);
    if (!lexemes.has_value()) return false;
    std::string text;
    for (const Lexeme& lexeme : *lexemes) {
      if (!text.empty()) text += ' ';
      text += lexeme.literal ? '\'' + lexeme.text + '\'' : lexeme.text;
    }
    parts_.push_back({OutlinePart::Kind::kStatement, text});
    return true;
  }

  std::vector<OutlinePart> Take() { return std::move(parts_); }

 private:
  static bool IsSign(const Lexeme& lexeme, std::string_view sign) {
    return !lexeme.literal && lexeme.text == sign;
  }

  // name.field or name['field'].
  bool AddField(const std::vector<Lexeme>& lexemes, std::size_t& at) {
    const std::size_t left = lexemes.size() - at;
    const std::string& name = lexemes[at].text;
    if (left >= 3 && IsSign(lexemes[at + 1], ".") && !lexemes[at + 2].literal) {
      AddFieldPart(name, lexemes[at + 2].text);
      at += 3;
      return true;
    }
    if (left >= 4 && IsSign(lexemes[at + 1], "[") && lexemes[at + 2].literal &&
        IsSign(lexemes[at + 3], "]")) {
      AddFieldPart(name, lexemes[at + 2].text);
      at += 4;
      return true;
    }
    return false;
  }

  void AddFieldPart(const std::string& name, const std::string& field) {
    parts_.push_back({OutlinePart::Kind::kExpression, name + "['" + field + "']"});
  }

  std::vector<OutlinePart> parts_;
};

std::string_view TrimRight(std::string_view text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}
std::string_view TrimLeft(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  return text;
}
// lstrip_blocks: blanks between the start of the line and a statement go.
std::string_view TrimBlanksOfLine(std::string_view text) {
  std::string_view trimmed = text;
  while (!trimmed.empty() && (trimmed.back() == ' ' || trimmed.back() == '\t'))
    trimmed.remove_suffix(1);
  return trimmed.empty() || trimmed.back() == '\n' ? trimmed : text;
}

}  // namespace

std::optional<std::vector<OutlinePart>> OutlineTemplate(std::string_view rest) {
  OutlineWriter writer;
  while (!rest.empty()) {
    std::size_t open = rest.find('{');
    while (open != std::string_view::npos &&
           (open + 1 == rest.size() ||
            std::string_view("{%#").find(rest[open + 1]) == std::string_view::npos)) {
      open = rest.find('{', open + 1);
    }
    if (open == std::string_view::npos) {
      writer.AddText(rest);
      break;
    }
    const bool statement = rest[open + 1] == '%';
    if (rest[open + 1] == '#') return std::nullopt;
    std::string_view text = rest.substr(0, open);
    rest.remove_prefix(open + 2);
    const std::size_t close = rest.find(statement ? "%}" : "}}");
    if (close == std::string_view::npos) return std::nullopt;
    std::string_view code = rest.substr(0, close);
    rest.remove_prefix(close + 2);
    if (code.starts_with('-')) {
      text = TrimRight(text);
      code.remove_prefix(1);
    } else if (statement) {
      text = TrimBlanksOfLine(text);
    }
    if (code.ends_with('-')) {
      rest = TrimLeft(rest);
      code.remove_suffix(1);
    } else if (statement && rest.starts_with('\n')) {
      rest.remove_prefix(1);
    }
    writer.AddText(text);
    if (!(statement ? writer.AddStatement(code) : writer.AddExpression(code))) return std::nullopt;
  }
  return writer.Take();
}

}  // namespace fallow::engine
