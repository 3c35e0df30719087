// The ExpressionParser's literals, names, members, calls, filters and tests.
#include <fmt/format.h>

#include <algorithm>

#include "engine/chat/jinja/expression_parser.h"
#include "engine/chat/jinja/functions.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

// Jinja's own functions that chat templates have no use for.
constexpr std::string_view kUnsupportedGlobals[] = {"cycler", "joiner", "lipsum"};
constexpr std::string_view kImpliedNames[] = {"varargs", "kwargs", "caller"};

template <class Names>
bool IsOneOf(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

}  // namespace

Result<ExpressionPtr> ExpressionParser::ParsePrimary() {
  const Token& token = cursor_.Peek();
  Node node = New(ExpressionKind::kConstant);
  switch (token.kind) {
    case TokenKind::kName:
      return ParseName();
    case TokenKind::kString:
      return ParseStrings();
    case TokenKind::kInteger:
      node->constant = token.integer;
      cursor_.Next();
      return Finish(std::move(node));
    case TokenKind::kReal:
      node->constant = token.real;
      cursor_.Next();
      return Finish(std::move(node));
    default:
      break;
  }
  if (cursor_.IsSign("(")) return ParseParentheses();
  if (cursor_.IsSign("[")) return ParseList();
  if (cursor_.IsSign("{")) return ParseDictionary();
  return cursor_.Bad("an expression is expected");
}

Result<ExpressionPtr> ExpressionParser::ParseName() {
  Node node = New(ExpressionKind::kConstant);
  const std::string& name = cursor_.Next().text;
  if (name == "true" || name == "True") {
    node->constant = true;
  } else if (name == "false" || name == "False") {
    node->constant = false;
  } else if (name == "none" || name == "None") {
    node->constant = None{};
  } else if (IsOneOf(kUnsupportedGlobals, name)) {
    return cursor_.Unknown(node->offset, fmt::format("the function \"{}\" is not known", name));
  } else {
    node->kind = ExpressionKind::kName;
    node->name = name;
    if (IsOneOf(kImpliedNames, name)) implied_names_.push_back(name);
  }
  return Finish(std::move(node));
}

// Strings side by side are one.
Result<ExpressionPtr> ExpressionParser::ParseStrings() {
  Node node = New(ExpressionKind::kConstant);
  std::string text;
  while (cursor_.Is(TokenKind::kString)) text += cursor_.Next().text;
  node->constant = Value::OfTemplate(std::move(text));
  return Finish(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParseParentheses() {
  cursor_.Next();
  if (cursor_.TakeSign(")")) return Finish(New(ExpressionKind::kTuple));
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr node, ParseTuple(Conditional::kAllowed, ""));
  FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(")"));
  return node;
}

Result<ExpressionPtr> ExpressionParser::ParseList() {
  Node node = New(ExpressionKind::kList);
  cursor_.Next();
  while (!cursor_.TakeSign("]")) {
    if (!node->operands.empty()) {
      FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(","));
      if (cursor_.TakeSign("]")) break;
    }
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr item, Parse());
    node->operands.push_back(std::move(item));
  }
  return Finish(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParseDictionary() {
  Node node = New(ExpressionKind::kDictionary);
  cursor_.Next();
  while (!cursor_.TakeSign("}")) {
    if (!node->operands.empty()) {
      FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(","));
      if (cursor_.TakeSign("}")) break;
    }
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr key, Parse());
    FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(":"));
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
    node->operands.push_back(std::move(key));
    node->operands.push_back(std::move(value));
  }
  return Finish(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParsePostfix(ExpressionPtr node) {
  while (true) {
    if (cursor_.IsSign(".")) {
      FALLOW_ASSIGN_OR_RETURN(node, ParseMember(std::move(node)));
    } else if (cursor_.IsSign("[")) {
      FALLOW_ASSIGN_OR_RETURN(node, ParseSubscript(std::move(node)));
    } else if (cursor_.IsSign("(")) {
      FALLOW_ASSIGN_OR_RETURN(node, ParseCall(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::ParseFilters(ExpressionPtr node) {
  while (true) {
    if (cursor_.TakeSign("|")) {
      FALLOW_ASSIGN_OR_RETURN(node, ParseFilter(std::move(node)));
    } else if (cursor_.TakeName("is")) {
      FALLOW_ASSIGN_OR_RETURN(node, ParseTest(std::move(node)));
    } else if (cursor_.IsSign("(")) {
      FALLOW_ASSIGN_OR_RETURN(node, ParseCall(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::ParseMember(ExpressionPtr node) {
  Node member = New(ExpressionKind::kAttribute);
  cursor_.Next();
  member->operands.push_back(std::move(node));
  if (cursor_.Is(TokenKind::kInteger)) {
    Node index = New(ExpressionKind::kConstant);
    index->constant = cursor_.Next().integer;
    member->kind = ExpressionKind::kItem;
    member->operands.push_back(std::move(index));
  } else {
    FALLOW_ASSIGN_OR_RETURN(member->name, cursor_.ExpectAnyName("a member's name"));
  }
  return Finish(std::move(member));
}

Result<ExpressionPtr> ExpressionParser::ParseSubscript(ExpressionPtr node) {
  Node item = New(ExpressionKind::kItem);
  cursor_.Next();
  item->operands.push_back(std::move(node));
  ExpressionPtr first;
  if (!cursor_.IsSign(":")) {
    FALLOW_ASSIGN_OR_RETURN(first, Parse());
  }
  item->operands.push_back(std::move(first));
  while (cursor_.TakeSign(":")) {
    item->kind = ExpressionKind::kSlice;
    ExpressionPtr bound;
    if (!cursor_.IsSign(":") && !cursor_.IsSign("]")) {
      FALLOW_ASSIGN_OR_RETURN(bound, Parse());
    }
    item->operands.push_back(std::move(bound));
  }
  if (item->operands.size() > 4 || cursor_.IsSign(","))
    return cursor_.Unknown(item->offset, "an item with several indices is not supported");
  FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign("]"));
  if (item->kind == ExpressionKind::kSlice) item->operands.resize(4);
  return Finish(std::move(item));
}

Result<ExpressionPtr> ExpressionParser::ParseCall(ExpressionPtr node) {
  Node call = New(ExpressionKind::kCall);
  if (node->kind == ExpressionKind::kAttribute && !IsMethodName(node->name)) {
    return cursor_.Unknown(node->offset,
                           fmt::format("the method \"{}\" is not known", Shown(node->name)));
  }
  call->operands.push_back(std::move(node));
  FALLOW_ASSIGN_OR_RETURN(call->arguments, ParseArguments());
  return Finish(std::move(call));
}

Result<std::vector<PassedArgument>> ExpressionParser::ParseArguments() {
  std::vector<PassedArgument> arguments;
  FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign("("));
  while (!cursor_.TakeSign(")")) {
    if (!arguments.empty()) {
      FALLOW_RETURN_IF_ERROR(cursor_.ExpectSign(","));
      if (cursor_.TakeSign(")")) break;
    }
    const Spread spread = cursor_.TakeSign("*")    ? Spread::kItems
                          : cursor_.TakeSign("**") ? Spread::kMembers
                                                   : Spread::kOne;
    std::string name;
    if (spread == Spread::kOne && cursor_.Is(TokenKind::kName) && cursor_.IsSign("=", 1)) {
      name = cursor_.Next().text;
      cursor_.Next();
    } else if (spread == Spread::kOne && !arguments.empty() &&
               (!arguments.back().name.empty() || arguments.back().spread != Spread::kOne)) {
      return cursor_.Bad("a named argument is expected after another");
    }
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
    arguments.push_back({std::move(name), std::move(value), spread});
  }
  return arguments;
}

Result<ExpressionPtr> ExpressionParser::ParseFilter(ExpressionPtr node) {
  Node filter = New(ExpressionKind::kFilter);
  FALLOW_ASSIGN_OR_RETURN(const std::string name, cursor_.ExpectAnyName("a filter's name"));
  filter->function = FindFilter(name);
  if (filter->function == nullptr) {
    return cursor_.Unknown(filter->offset,
                           fmt::format("the filter \"{}\" is not known", Shown(name)));
  }
  filter->operands.push_back(std::move(node));
  if (cursor_.IsSign("(")) {
    FALLOW_ASSIGN_OR_RETURN(filter->arguments, ParseArguments());
  }
  return Finish(std::move(filter));
}

Result<ExpressionPtr> ExpressionParser::ParseBlockFilters(Bar bar) {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr node, Finish(New(ExpressionKind::kBlockText)));
  if (bar == Bar::kNotBeforeFirst) {
    FALLOW_ASSIGN_OR_RETURN(node, ParseFilter(std::move(node)));
  }
  while (cursor_.TakeSign("|")) {
    FALLOW_ASSIGN_OR_RETURN(node, ParseFilter(std::move(node)));
  }
  return node;
}

Result<ExpressionPtr> ExpressionParser::ParseTest(ExpressionPtr node) {
  Node test = New(ExpressionKind::kTest);
  const bool negated = cursor_.TakeName("not");
  FALLOW_ASSIGN_OR_RETURN(const std::string name, cursor_.ExpectAnyName("a test's name"));
  test->function = FindTest(name);
  if (test->function == nullptr) {
    return cursor_.Unknown(test->offset, fmt::format("the test \"{}\" is not known", Shown(name)));
  }
  test->operands.push_back(std::move(node));
  const Token& next = cursor_.Peek();
  const bool value = next.kind == TokenKind::kName || next.kind == TokenKind::kString ||
                     next.kind == TokenKind::kInteger || next.kind == TokenKind::kReal ||
                     cursor_.IsSign("[") || cursor_.IsSign("{");
  constexpr std::string_view kWordsAfterTest[] = {"else", "or", "and"};
  if (cursor_.IsSign("(")) {
    FALLOW_ASSIGN_OR_RETURN(test->arguments, ParseArguments());
  } else if (value && cursor_.IsName("is")) {
    return cursor_.Bad("tests cannot follow one another");
  } else if (value && !(next.kind == TokenKind::kName && IsOneOf(kWordsAfterTest, next.text))) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePrimary());
    FALLOW_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    test->arguments.push_back({"", std::move(argument), Spread::kOne});
  }
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr finished, Finish(std::move(test)));
  if (!negated) return finished;
  Node inverse = New(ExpressionKind::kNot);
  inverse->operands.push_back(std::move(finished));
  return Finish(std::move(inverse));
}

}  // namespace fallow::engine::jinja
