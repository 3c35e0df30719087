#include "engine/chat/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/utf8.h"
#include "engine/chat/jinja/expression_parser.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

using Node = std::unique_ptr<Statement>;

class StatementParser {
 public:
  StatementParser(std::string_view source, std::vector<Token> tokens)
      : cursor_(source, std::move(tokens)), expressions_(cursor_, depth_) {}

  Result<Body> Run() {
    FALLOW_ASSIGN_OR_RETURN(Body body, ParseBody({}));
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kEnd, "the end of the template"));
    return body;
  }

 private:
  Node New(StatementKind kind) const {
    auto node = std::make_unique<Statement>();
    node->kind = kind;
    node->offset = cursor_.Peek().offset;
    return node;
  }

  // Statements up to one of these words, whose opening is taken but not the word itself. No words:
  // up to the end.
  Result<Body> ParseBody(std::initializer_list<std::string_view> ends) {
    const DepthGuard guard(depth_);
    if (depth_ > kMaxTemplateDepth) {
      return cursor_.Fail(cursor_.Peek().offset, ErrorCode::kResourceExhausted,
                          fmt::format("the template is nested deeper than {}", kMaxTemplateDepth));
    }
    Body body;
    while (!cursor_.Is(TokenKind::kEnd)) {
      if (cursor_.Is(TokenKind::kText)) {
        Node text = New(StatementKind::kText);
        text->text = Value::OfTemplate(cursor_.Next().text);
        body.push_back(std::move(text));
      } else if (cursor_.Is(TokenKind::kOpenExpression)) {
        FALLOW_ASSIGN_OR_RETURN(Node print, ParsePrint());
        body.push_back(std::move(print));
      } else {
        FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kOpenStatement, "a statement"));
        if (std::ranges::any_of(ends, [&](std::string_view end) { return cursor_.IsName(end); }))
          return body;
        FALLOW_ASSIGN_OR_RETURN(Node statement, ParseStatement());
        FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kCloseStatement, "\"%}\""));
        body.push_back(std::move(statement));
      }
    }
    if (ends.size() == 0) return body;
    return cursor_.Bad(fmt::format("\"{}\" is expected", *(ends.end() - 1)));
  }

  // The body of a statement whose head ends here, with its closing word.
  Result<Body> ParseBlock(std::string_view end) {
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kCloseStatement, "\"%}\""));
    FALLOW_ASSIGN_OR_RETURN(Body body, ParseBody({end}));
    cursor_.Next();
    return body;
  }

  // The same where a break cannot leave it.
  Result<Body> ParseClosedBlock(std::string_view end) {
    const std::uint32_t outer_loops = std::exchange(loops_, 0);
    FALLOW_ASSIGN_OR_RETURN(Body body, ParseBlock(end));
    loops_ = outer_loops;
    return body;
  }

  Result<Node> ParsePrint() {
    Node node = New(StatementKind::kPrint);
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(node->expression,
                            expressions_.ParseTuple(ExpressionParser::Conditional::kAllowed, ""));
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kCloseExpression, "\"}}\""));
    return node;
  }

  Result<Node> ParseStatement() {
    using Parse = Result<Node> (StatementParser::*)();
    constexpr std::pair<std::string_view, Parse> kParsers[] = {
        {"if", &StatementParser::ParseIf},
        {"for", &StatementParser::ParseFor},
        {"set", &StatementParser::ParseSet},
        {"macro", &StatementParser::ParseMacro},
        {"call", &StatementParser::ParseCallBlock},
        {"filter", &StatementParser::ParseFilterBlock},
        {"with", &StatementParser::ParseWith},
        {"generation", &StatementParser::ParseGeneration},
        {"break", &StatementParser::ParseJump},
        {"continue", &StatementParser::ParseJump},
    };
    for (const auto& [word, parse] : kParsers)
      if (cursor_.IsName(word)) return (this->*parse)();
    if (!cursor_.Is(TokenKind::kName)) return cursor_.Bad("a statement is expected");
    return cursor_.Unknown(
        cursor_.Peek().offset,
        fmt::format("the statement \"{}\" is not known here", Shown(cursor_.Peek().text)));
  }

  Result<Node> ParseIf() {
    Node node = New(StatementKind::kIf);
    do {
      const bool last = cursor_.IsName("else");
      cursor_.Next();
      Branch branch;
      if (!last) {
        FALLOW_ASSIGN_OR_RETURN(
            branch.condition,
            expressions_.ParseTuple(ExpressionParser::Conditional::kNotAllowed, ""));
      }
      FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kCloseStatement, "\"%}\""));
      if (last) {
        FALLOW_ASSIGN_OR_RETURN(branch.body, ParseBody({"endif"}));
      } else {
        FALLOW_ASSIGN_OR_RETURN(branch.body, ParseBody({"elif", "else", "endif"}));
      }
      node->branches.push_back(std::move(branch));
    } while (!cursor_.TakeName("endif"));
    return node;
  }

  Result<Node> ParseFor() {
    Node node = New(StatementKind::kFor);
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(node->target, ParseTarget());
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectName("in"));
    FALLOW_ASSIGN_OR_RETURN(
        node->expression,
        expressions_.ParseTuple(ExpressionParser::Conditional::kNotAllowed, "recursive"));
    if (cursor_.TakeName("if")) {
      FALLOW_ASSIGN_OR_RETURN(node->condition, expressions_.Parse());
    }
    node->recursive = cursor_.TakeName("recursive");
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectKind(TokenKind::kCloseStatement, "\"%}\""));
    ++loops_;
    FALLOW_ASSIGN_OR_RETURN(node->body, ParseBody({"else", "endfor"}));
    --loops_;
    if (cursor_.TakeName("else")) {
      FALLOW_ASSIGN_OR_RETURN(node->otherwise, ParseBlock("endfor"));
    } else {
      cursor_.Next();
    }
    return node;
  }

  Result<Node> ParseSet() {
    Node node = New(StatementKind::kSet);
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(node->target, ParseTarget());
    if (cursor_.TakeSign("=")) {
      FALLOW_ASSIGN_OR_RETURN(node->expression,
                              expressions_.ParseTuple(ExpressionParser::Conditional::kAllowed, ""));
      return node;
    }
    node->kind = StatementKind::kSetBlock;
    if (cursor_.IsSign("|")) {
      FALLOW_ASSIGN_OR_RETURN(node->expression,
                              expressions_.ParseBlockFilters(ExpressionParser::Bar::kBeforeFirst));
    }
    FALLOW_ASSIGN_OR_RETURN(node->body, ParseClosedBlock("endset"));
    return node;
  }

  // name, name.member, or several with commas between, the last of which may stand alone.
  Result<Target> ParseTarget() {
    Target several{.offset = cursor_.Peek().offset};
    do {
      FALLOW_ASSIGN_OR_RETURN(Target part, ParseOneTarget());
      several.parts.push_back(std::move(part));
      several.takes_apart = several.takes_apart || cursor_.IsSign(",");
    } while (cursor_.TakeSign(",") && !cursor_.IsName("in") && !cursor_.IsSign("=") &&
             !cursor_.IsSign(")"));
    if (!several.takes_apart) return std::move(several.parts[0]);
    return several;
  }

  Result<Target> ParseOneTarget() {
    const DepthGuard guard(depth_);
    Target target{.offset = cursor_.Peek().offset};
    if (depth_ <= kMaxTemplateDepth && cursor_.TakeSign("(")) {
      FALLOW_ASSIGN_OR_RETURN(target, ParseTarget());
      FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(")"));
      return target;
    }
    FALLOW_ASSIGN_OR_RETURN(target.name, cursor_.ExpectAnyName("a name to assign to"));
    constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
    if (std::ranges::find(kConstants, target.name) != std::end(kConstants))
      return cursor_.Bad(fmt::format("\"{}\" cannot be assigned to", target.name));
    if (cursor_.TakeSign(".")) {
      FALLOW_ASSIGN_OR_RETURN(target.member, cursor_.ExpectAnyName("a member's name"));
    }
    return target;
  }

  Result<std::vector<Parameter>> ParseParameters() {
    std::vector<Parameter> parameters;
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign("("));
    while (!cursor_.TakeSign(")")) {
      if (!parameters.empty()) FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(","));
      Parameter parameter;
      FALLOW_ASSIGN_OR_RETURN(parameter.name, cursor_.ExpectAnyName("a parameter's name"));
      if (cursor_.TakeSign("=")) {
        FALLOW_ASSIGN_OR_RETURN(parameter.otherwise, expressions_.Parse());
      } else if (!parameters.empty() && parameters.back().otherwise != nullptr) {
        return cursor_.Bad("a parameter with a default is expected after another");
      }
      parameters.push_back(std::move(parameter));
    }
    return parameters;
  }

  // The body of a macro or call block, with what it uses of the names that a macro implies.
  Status ParseMacroBody(Statement& node, std::string_view end) {
    const std::size_t before = expressions_.implied_names().size();
    FALLOW_ASSIGN_OR_RETURN(node.body, ParseClosedBlock(end));
    const std::vector<std::string>& names = expressions_.implied_names();
    for (std::size_t i = before; i < names.size(); ++i) {
      const std::string& name = names[i];
      node.uses_varargs = node.uses_varargs || name == "varargs";
      node.uses_kwargs = node.uses_kwargs || name == "kwargs";
      node.uses_caller = node.uses_caller || name == "caller";
    }
    return {};
  }

  Result<Node> ParseMacro() {
    Node node = New(StatementKind::kMacro);
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(node->name, cursor_.ExpectAnyName("a macro's name"));
    FALLOW_ASSIGN_OR_RETURN(node->parameters, ParseParameters());
    FALLOW_RETURN_IF_ERROR(ParseMacroBody(*node, "endmacro"));
    return node;
  }

  Result<Node> ParseCallBlock() {
    Node node = New(StatementKind::kCallBlock);
    cursor_.Next();
    if (cursor_.IsSign("(")) {
      FALLOW_ASSIGN_OR_RETURN(node->parameters, ParseParameters());
    }
    FALLOW_ASSIGN_OR_RETURN(node->expression, expressions_.Parse());
    if (node->expression->kind != ExpressionKind::kCall)
      return cursor_.Fail(node->offset, ErrorCode::kInvalidArgument, "call needs a call");
    FALLOW_RETURN_IF_ERROR(ParseMacroBody(*node, "endcall"));
    return node;
  }

  Result<Node> ParseFilterBlock() {
    Node node = New(StatementKind::kFilterBlock);
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(node->expression,
                            expressions_.ParseBlockFilters(ExpressionParser::Bar::kNotBeforeFirst));
    FALLOW_ASSIGN_OR_RETURN(node->body, ParseClosedBlock("endfilter"));
    return node;
  }

  Result<Node> ParseWith() {
    Node node = New(StatementKind::kWith);
    cursor_.Next();
    while (!cursor_.Is(TokenKind::kCloseStatement)) {
      if (!node->assignments.empty()) FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(","));
      FALLOW_ASSIGN_OR_RETURN(Target target, ParseOneTarget());
      FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign("="));
      FALLOW_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.Parse());
      node->assignments.emplace_back(std::move(target), std::move(value));
    }
    FALLOW_ASSIGN_OR_RETURN(node->body, ParseBlock("endwith"));
    return node;
  }

  Result<Node> ParseGeneration() {
    Node node = New(StatementKind::kGeneration);
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(node->body, ParseClosedBlock("endgeneration"));
    return node;
  }

  Result<Node> ParseJump() {
    Node node = New(cursor_.IsName("break") ? StatementKind::kBreak : StatementKind::kContinue);
    if (loops_ == 0) return cursor_.Bad("a break or continue stands outside a loop");
    cursor_.Next();
    return node;
  }

  TokenCursor cursor_;
  std::uint32_t depth_ = 0;
  ExpressionParser expressions_;
  std::uint32_t loops_ = 0;  // that a break here could leave
};

}  // namespace

Result<Program> ParseTemplate(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("chat template: {} bytes; {} are allowed", source.size(), kMaxTemplateBytes));
  }
  if (!IsValidUtf8(source)) return Fail(ErrorCode::kInvalidArgument, "chat template: not UTF-8");
  Program program{.source = NormaliseSource(source)};
  FALLOW_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(program.source));
  FALLOW_ASSIGN_OR_RETURN(program.body, StatementParser(program.source, std::move(tokens)).Run());
  return program;
}

}  // namespace fallow::engine::jinja
