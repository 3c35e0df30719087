// The Interpreter's expressions.
#include <fmt/format.h>

#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/interpreter.h"
#include "engine/chat/jinja/lexer.h"
#include "engine/chat/jinja/token_cursor.h"
#include "engine/chat/jinja/write_value.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {

std::unexpected<Error> Interpreter::FailHere(std::size_t offset, Error error) const {
  return FailAt(program_.source, offset, std::move(error));
}

std::unexpected<Error> Interpreter::Bad(std::size_t offset, std::string message) const {
  return FailHere(offset, {ErrorCode::kInvalidArgument, std::move(message)});
}

Result<Value> Interpreter::Evaluate(const Expression& node) {
  const DepthGuard guard(depth_);
  if (depth_ > kMaxEvaluationDepth) {
    return FailHere(node.offset,
                    {ErrorCode::kResourceExhausted,
                     fmt::format("evaluation is nested deeper than {}", kMaxEvaluationDepth)});
  }
  if (auto spent = context_.budget.SpendSteps(1); !spent.has_value())
    return FailHere(node.offset, spent.error());
  return EvaluateKind(node);
}

Result<Value> Interpreter::EvaluateKind(const Expression& node) {
  switch (node.kind) {
    case ExpressionKind::kConstant:
      return node.constant;
    case ExpressionKind::kName:
      return LookUp(node.name);
    case ExpressionKind::kBlockText:
      return block_texts_.back();
    case ExpressionKind::kList:
    case ExpressionKind::kTuple: {
      const bool list = node.kind == ExpressionKind::kList;
      FALLOW_ASSIGN_OR_RETURN(std::vector<Value> items, EvaluateAll(node.operands));
      return At(node.offset,
                MakeSequence(std::move(items), list ? SequenceKind::kList : SequenceKind::kTuple,
                             context_.budget));
    }
    case ExpressionKind::kDictionary:
      return EvaluateDictionary(node);
    case ExpressionKind::kNot:
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr:
      return EvaluateLogic(node);
    case ExpressionKind::kMinus:
    case ExpressionKind::kPlus:
    case ExpressionKind::kArithmetic:
      return EvaluateArithmetic(node);
    case ExpressionKind::kConcatenate:
      return EvaluateConcatenation(node);
    case ExpressionKind::kCompare:
      return EvaluateComparison(node);
    case ExpressionKind::kConditional:
      return EvaluateConditional(node);
    case ExpressionKind::kAttribute:
    case ExpressionKind::kItem:
      return EvaluateMember(node);
    case ExpressionKind::kSlice:
      return EvaluateSlice(node);
    case ExpressionKind::kCall:
      return EvaluateCall(node, nullptr);
    case ExpressionKind::kFilter:
    case ExpressionKind::kTest:
      return EvaluateApplication(node);
  }
  return Value();
}

Value Interpreter::LookUp(std::string_view name) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const auto found = scope->variables.find(name);
    if (found != scope->variables.end()) return found->second;
  }
  if (const Function* function = FindGlobal(name))
    return Value(std::make_shared<const Callable>(Callable{.function = function}));
  return Value::UndefinedBecause(fmt::format("\"{}\" is not defined", Shown(name)));
}

Result<std::vector<Value>> Interpreter::EvaluateAll(const std::vector<ExpressionPtr>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const ExpressionPtr& node : nodes) {
    FALLOW_ASSIGN_OR_RETURN(Value value, Evaluate(*node));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Value> Interpreter::EvaluateDictionary(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> values, EvaluateAll(node.operands));
  Mapping mapping;
  for (std::size_t i = 0; i < values.size(); i += 2) {
    if (values[i].text() == nullptr) {
      return FailHere(
          node.operands[i]->offset,
          {ErrorCode::kUnimplemented,
           fmt::format("a dictionary's key must be a text, not {}", TypeName(values[i]))});
    }
    if (auto sound = CheckKey(values[i]); !sound.has_value())
      return FailHere(node.operands[i]->offset, std::move(sound).error());
    mapping.Set(values[i], values[i + 1]);
  }
  return At(node.offset, MakeMapping(std::move(mapping), context_.budget));
}

// `and` and `or` give the operand that decides, not its truth.
Result<Value> Interpreter::EvaluateLogic(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(Value left, Evaluate(*node.operands[0]));
  if (node.kind == ExpressionKind::kNot) return Value(!IsTrue(left));
  if (IsTrue(left) == (node.kind == ExpressionKind::kOr)) return left;
  return Evaluate(*node.operands[1]);
}

Result<Value> Interpreter::EvaluateArithmetic(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const Value left, Evaluate(*node.operands[0]));
  if (node.kind == ExpressionKind::kMinus) return At(node.offset, Negate(left));
  if (node.kind == ExpressionKind::kPlus) return At(node.offset, Affirm(left));
  FALLOW_ASSIGN_OR_RETURN(const Value right, Evaluate(*node.operands[1]));
  return At(node.offset, Compute(node.arithmetic, left, right, context_.budget));
}

Result<Value> Interpreter::EvaluateConcatenation(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> values, EvaluateAll(node.operands));
  TextBuilder out;
  for (const Value& value : values) {
    if (const auto status = AppendString(value, out, context_.budget); !status.has_value())
      return FailHere(node.offset, status.error());
  }
  return At(node.offset, MakeText(out.Take(), context_.budget));
}

// a < b < c stops at the first comparison that does not hold.
Result<Value> Interpreter::EvaluateComparison(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(Value left, Evaluate(*node.operands[0]));
  for (std::size_t i = 0; i < node.comparisons.size(); ++i) {
    FALLOW_ASSIGN_OR_RETURN(Value right, Evaluate(*node.operands[i + 1]));
    FALLOW_ASSIGN_OR_RETURN(const bool holds, At(node.offset, Compare(node.comparisons[i], left,
                                                                      right, context_.budget)));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Interpreter::EvaluateConditional(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const Value condition, Evaluate(*node.operands[1]));
  if (IsTrue(condition)) return Evaluate(*node.operands[0]);
  if (node.operands[2] != nullptr) return Evaluate(*node.operands[2]);
  return Value::UndefinedBecause("a condition does not hold and has no else");
}

Result<Value> Interpreter::EvaluateMember(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.operands[0]));
  Value key;
  if (node.kind == ExpressionKind::kItem) {
    FALLOW_ASSIGN_OR_RETURN(key, Evaluate(*node.operands[1]));
  }
  if (Loop* loop = value.loop(); loop != nullptr && loop->next_waiting < loop->waiting.size()) {
    const std::string_view name =
        key.text() != nullptr ? std::string_view(key.text()->bytes()) : node.name;
    if (name == "last" || name == "nextitem") {
      FALLOW_RETURN_IF_ERROR(AdmitUpTo(*loop, loop->at + 2));
    } else if (name == "length" || name == "revindex" || name == "revindex0") {
      FALLOW_RETURN_IF_ERROR(AdmitUpTo(*loop, loop->items.size() + loop->waiting.size()));
    }
  }
  if (node.kind == ExpressionKind::kAttribute)
    return At(node.offset, GetAttribute(value, node.name, context_.budget));
  return At(node.offset, GetItem(value, key, context_.budget));
}

Result<Value> Interpreter::EvaluateSlice(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.operands[0]));
  std::optional<std::int64_t> bounds[3];
  for (std::size_t i = 0; i < 3; ++i) {
    const ExpressionPtr& operand = node.operands[i + 1];
    if (operand == nullptr) continue;
    FALLOW_ASSIGN_OR_RETURN(const Value bound, Evaluate(*operand));
    bounds[i] = bound.integer();
    if (!bounds[i] && !bound.IsNone()) {
      return Bad(operand->offset,
                 fmt::format("a slice's bound must be an integer, not {}", TypeName(bound)));
    }
  }
  return At(node.offset, GetSlice(value, bounds[0], bounds[1], bounds[2], context_.budget));
}

Result<Value> Interpreter::EvaluateApplication(const Expression& node) {
  FALLOW_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.operands[0]));
  FALLOW_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(node));
  return At(node.offset, Call(*node.function, value, std::move(arguments), context_));
}

}  // namespace fallow::engine::jinja
