// Parses the expressions of a template, with Jinja's precedence.
#pragma once

#include <string>
#include <vector>

#include "engine/chat/jinja/syntax.h"
#include "engine/chat/jinja/token_cursor.h"

namespace fallow::engine::jinja {

class ExpressionParser {
 public:
  // `depth` counts what encloses an expression. Both must outlive the parser.
  ExpressionParser(TokenCursor& cursor, std::uint32_t& depth) : cursor_(cursor), depth_(depth) {}

  Result<ExpressionPtr> Parse();
  // Without `a if b else c` at its top, where an if follows.
  Result<ExpressionPtr> ParseWithoutConditional();
  // One expression, or several with commas between as a tuple. `stop`: a name that ends it.
  enum class Conditional : std::uint8_t { kAllowed, kNotAllowed };
  Result<ExpressionPtr> ParseTuple(Conditional conditional, std::string_view stop);
  // name(arguments) | name … applied to what a block writes. `first`: no bar stands before the
  // first.
  enum class Bar : std::uint8_t { kBeforeFirst, kNotBeforeFirst };
  Result<ExpressionPtr> ParseBlockFilters(Bar bar);

  // Every name read so far that stands for what a macro implies: varargs, kwargs, caller.
  const std::vector<std::string>& implied_names() const { return implied_names_; }

 private:
  using Node = std::unique_ptr<Expression>;

  Node New(ExpressionKind kind) const;
  Node New(ExpressionKind kind, std::vector<ExpressionPtr> operands) const;
  Node NewPair(ExpressionKind kind, ExpressionPtr left, ExpressionPtr right) const;
  // Checks the depth of a finished node.
  Result<ExpressionPtr> Finish(Node node) const;
  Status CheckDepth() const;

  Result<ExpressionPtr> ParseOr();
  Result<ExpressionPtr> ParseAnd();
  Result<ExpressionPtr> ParseNot();
  Result<ExpressionPtr> ParseComparison();
  Result<ExpressionPtr> ParseSum();
  Result<ExpressionPtr> ParseConcatenation();
  Result<ExpressionPtr> ParseProduct();
  Result<ExpressionPtr> ParsePower();
  Result<ExpressionPtr> ParseUnary();
  Result<ExpressionPtr> ParseSigned();
  Result<ExpressionPtr> ParsePrimary();
  Result<ExpressionPtr> ParseName();
  Result<ExpressionPtr> ParseStrings();
  Result<ExpressionPtr> ParseParentheses();
  Result<ExpressionPtr> ParseList();
  Result<ExpressionPtr> ParseDictionary();
  Result<ExpressionPtr> ParsePostfix(ExpressionPtr node);
  Result<ExpressionPtr> ParseFilters(ExpressionPtr node);
  Result<ExpressionPtr> ParseMember(ExpressionPtr node);
  Result<ExpressionPtr> ParseSubscript(ExpressionPtr node);
  Result<ExpressionPtr> ParseCall(ExpressionPtr node);
  Result<ExpressionPtr> ParseFilter(ExpressionPtr node);
  Result<ExpressionPtr> ParseTest(ExpressionPtr node);
  Result<std::vector<PassedArgument>> ParseArguments();

  TokenCursor& cursor_;
  std::uint32_t& depth_;
  std::vector<std::string> implied_names_;
};

}  // namespace fallow::engine::jinja
