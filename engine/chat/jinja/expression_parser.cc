// The operators; what they apply to is in primary_parser.cc.
#include "engine/chat/jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace fallow::engine::jinja {
namespace {

struct SignOf {
  std::string_view sign;
  Arithmetic arithmetic;
};

std::optional<Arithmetic> FindArithmetic(const TokenCursor& cursor,
                                         std::initializer_list<SignOf> signs) {
  for (const SignOf& row : signs)
    if (cursor.IsSign(row.sign)) return row.arithmetic;
  return std::nullopt;
}

// Takes a comparison's sign or words, if one stands here.
std::optional<Comparison> TakeComparison(TokenCursor& cursor) {
  constexpr std::pair<std::string_view, Comparison> kSigns[] = {
      {"==", Comparison::kEqual},  {"!=", Comparison::kNotEqual},
      {"<", Comparison::kLess},    {"<=", Comparison::kLessOrEqual},
      {">", Comparison::kGreater}, {">=", Comparison::kGreaterOrEqual}};
  for (const auto& [sign, comparison] : kSigns)
    if (cursor.TakeSign(sign)) return comparison;
  if (cursor.TakeName("in")) return Comparison::kIn;
  if (!cursor.IsName("not") || !cursor.IsName("in", 1)) return std::nullopt;
  cursor.Next();
  cursor.Next();
  return Comparison::kNotIn;
}

}  // namespace

ExpressionParser::Node ExpressionParser::New(ExpressionKind kind) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->offset = cursor_.Peek().offset;
  return node;
}

ExpressionParser::Node ExpressionParser::New(ExpressionKind kind,
                                             std::vector<ExpressionPtr> operands) const {
  Node node = New(kind);
  node->operands = std::move(operands);
  return node;
}

ExpressionParser::Node ExpressionParser::NewPair(ExpressionKind kind, ExpressionPtr left,
                                                 ExpressionPtr right) const {
  Node node = New(kind);
  node->offset = left->offset;
  node->operands.push_back(std::move(left));
  node->operands.push_back(std::move(right));
  return node;
}

Result<ExpressionPtr> ExpressionParser::Finish(Node node) const {
  for (const ExpressionPtr& operand : node->operands)
    if (operand != nullptr) node->depth = std::max(node->depth, operand->depth + 1);
  for (const PassedArgument& argument : node->arguments)
    node->depth = std::max(node->depth, argument.value->depth + 1);
  if (node->depth > kMaxTemplateDepth) {
    return cursor_.Fail(node->offset, ErrorCode::kResourceExhausted,
                        fmt::format("the expression is nested deeper than {}", kMaxTemplateDepth));
  }
  return ExpressionPtr(std::move(node));
}

Status ExpressionParser::CheckDepth() const {
  if (depth_ <= kMaxTemplateDepth) return {};
  return cursor_.Fail(cursor_.Peek().offset, ErrorCode::kResourceExhausted,
                      fmt::format("the template is nested deeper than {}", kMaxTemplateDepth));
}

Result<ExpressionPtr> ExpressionParser::Parse() {
  const DepthGuard guard(depth_);
  FALLOW_RETURN_IF_ERROR(CheckDepth());
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr node, ParseOr());
  while (cursor_.TakeName("if")) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr condition, ParseOr());
    ExpressionPtr otherwise;
    if (cursor_.TakeName("else")) {
      FALLOW_ASSIGN_OR_RETURN(otherwise, Parse());
    }
    Node conditional = NewPair(ExpressionKind::kConditional, std::move(node), std::move(condition));
    conditional->operands.push_back(std::move(otherwise));
    FALLOW_ASSIGN_OR_RETURN(node, Finish(std::move(conditional)));
  }
  return node;
}

Result<ExpressionPtr> ExpressionParser::ParseWithoutConditional() {
  const DepthGuard guard(depth_);
  FALLOW_RETURN_IF_ERROR(CheckDepth());
  return ParseOr();
}

Result<ExpressionPtr> ExpressionParser::ParseTuple(Conditional conditional, std::string_view stop) {
  const auto ends = [&] {
    return cursor_.Is(TokenKind::kCloseExpression) || cursor_.Is(TokenKind::kCloseStatement) ||
           cursor_.IsSign(")") || (!stop.empty() && cursor_.IsName(stop));
  };
  std::vector<ExpressionPtr> items;
  bool tuple = false;
  do {
    if (tuple && ends()) break;
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr item, conditional == Conditional::kAllowed
                                                    ? Parse()
                                                    : ParseWithoutConditional());
    items.push_back(std::move(item));
    tuple = tuple || cursor_.IsSign(",");
  } while (cursor_.TakeSign(","));
  if (!tuple) return std::move(items[0]);
  return Finish(New(ExpressionKind::kTuple, std::move(items)));
}

Result<ExpressionPtr> ExpressionParser::ParseOr() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr left, ParseAnd());
  while (cursor_.TakeName("or")) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr right, ParseAnd());
    FALLOW_ASSIGN_OR_RETURN(
        left, Finish(NewPair(ExpressionKind::kOr, std::move(left), std::move(right))));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::ParseAnd() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr left, ParseNot());
  while (cursor_.TakeName("and")) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr right, ParseNot());
    FALLOW_ASSIGN_OR_RETURN(
        left, Finish(NewPair(ExpressionKind::kAnd, std::move(left), std::move(right))));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::ParseNot() {
  if (!cursor_.IsName("not")) return ParseComparison();
  const DepthGuard guard(depth_);
  FALLOW_RETURN_IF_ERROR(CheckDepth());
  Node node = New(ExpressionKind::kNot);
  cursor_.Next();
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseNot());
  node->operands.push_back(std::move(operand));
  return Finish(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParseComparison() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr first, ParseSum());
  Node node = New(ExpressionKind::kCompare);
  node->offset = first->offset;
  node->operands.push_back(std::move(first));
  while (const auto comparison = TakeComparison(cursor_)) {
    node->comparisons.push_back(*comparison);
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseSum());
    node->operands.push_back(std::move(operand));
  }
  if (node->comparisons.empty()) return std::move(node->operands[0]);
  return Finish(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParseSum() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr left, ParseConcatenation());
  while (const auto arithmetic =
             FindArithmetic(cursor_, {{"+", Arithmetic::kAdd}, {"-", Arithmetic::kSubtract}})) {
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr right, ParseConcatenation());
    Node node = NewPair(ExpressionKind::kArithmetic, std::move(left), std::move(right));
    node->arithmetic = *arithmetic;
    FALLOW_ASSIGN_OR_RETURN(left, Finish(std::move(node)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::ParseConcatenation() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr first, ParseProduct());
  if (!cursor_.IsSign("~")) return first;
  Node node = New(ExpressionKind::kConcatenate);
  node->offset = first->offset;
  node->operands.push_back(std::move(first));
  while (cursor_.TakeSign("~")) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseProduct());
    node->operands.push_back(std::move(operand));
  }
  return Finish(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParseProduct() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr left, ParsePower());
  while (const auto arithmetic = FindArithmetic(cursor_, {{"*", Arithmetic::kMultiply},
                                                          {"/", Arithmetic::kDivide},
                                                          {"//", Arithmetic::kFloorDivide},
                                                          {"%", Arithmetic::kModulo}})) {
    cursor_.Next();
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr right, ParsePower());
    Node node = NewPair(ExpressionKind::kArithmetic, std::move(left), std::move(right));
    node->arithmetic = *arithmetic;
    FALLOW_ASSIGN_OR_RETURN(left, Finish(std::move(node)));
  }
  return left;
}

// Jinja groups powers from the left, unlike Python.
Result<ExpressionPtr> ExpressionParser::ParsePower() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr left, ParseUnary());
  while (cursor_.TakeSign("**")) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr right, ParseUnary());
    Node node = NewPair(ExpressionKind::kArithmetic, std::move(left), std::move(right));
    node->arithmetic = Arithmetic::kPower;
    FALLOW_ASSIGN_OR_RETURN(left, Finish(std::move(node)));
  }
  return left;
}

// Filters and tests apply to a signed operand as a whole.
Result<ExpressionPtr> ExpressionParser::ParseUnary() {
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr node, ParseSigned());
  return ParseFilters(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::ParseSigned() {
  const bool minus = cursor_.IsSign("-");
  if (!minus && !cursor_.IsSign("+")) {
    FALLOW_ASSIGN_OR_RETURN(ExpressionPtr node, ParsePrimary());
    return ParsePostfix(std::move(node));
  }
  const DepthGuard guard(depth_);
  FALLOW_RETURN_IF_ERROR(CheckDepth());
  Node node = New(minus ? ExpressionKind::kMinus : ExpressionKind::kPlus);
  cursor_.Next();
  FALLOW_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseSigned());
  node->operands.push_back(std::move(operand));
  return Finish(std::move(node));
}

}  // namespace fallow::engine::jinja
