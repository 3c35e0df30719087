// The Interpreter's statements.
#include <fmt/format.h>

#include "engine/chat/jinja/interpreter.h"
#include "engine/chat/jinja/token_cursor.h"
#include "engine/chat/jinja/write_value.h"

namespace fallow::engine::jinja {

Result<Text> Interpreter::Run(std::map<std::string, Value, std::less<>> variables) {
  TextBuilder out;
  out_ = &out;
  scope_ = std::make_shared<Scope>(Scope{.variables = std::move(variables)});
  FALLOW_RETURN_IF_ERROR(ExecuteBody(program_.body));
  return out.Take();
}

Result<Interpreter::Flow> Interpreter::ExecuteBody(const Body& body) {
  for (const auto& statement : body) {
    FALLOW_ASSIGN_OR_RETURN(const Flow flow, Execute(*statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::Execute(const Statement& node) {
  const DepthGuard guard(depth_);
  if (depth_ > kMaxEvaluationDepth) {
    return FailHere(node.offset,
                    {ErrorCode::kResourceExhausted,
                     fmt::format("statements are nested deeper than {}", kMaxEvaluationDepth)});
  }
  if (auto spent = context_.budget.SpendSteps(1); !spent.has_value())
    return FailHere(node.offset, spent.error());
  Status status;
  switch (node.kind) {
    case StatementKind::kText:
      status = Print(node.text, node.offset);
      break;
    case StatementKind::kPrint: {
      FALLOW_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.expression));
      status = Print(value, node.offset);
      break;
    }
    case StatementKind::kIf:
      return ExecuteIf(node);
    case StatementKind::kFor: {
      FALLOW_ASSIGN_OR_RETURN(const Value elements, Evaluate(*node.expression));
      return RunLoop(node, elements, 0);
    }
    case StatementKind::kSet: {
      FALLOW_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.expression));
      status = Assign(node.target, value);
      break;
    }
    case StatementKind::kSetBlock:
      status = ExecuteSetBlock(node);
      break;
    case StatementKind::kMacro:
      status = DefineMacro(node);
      break;
    case StatementKind::kCallBlock:
      status = ExecuteCallBlock(node);
      break;
    case StatementKind::kFilterBlock:
      status = ExecuteFilterBlock(node);
      break;
    case StatementKind::kWith:
      return ExecuteWith(node);
    case StatementKind::kGeneration: {
      const ScopeGuard scope(*this);
      return ExecuteBody(node.body);
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  if (!status.has_value()) return std::unexpected(std::move(status).error());
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::ExecuteIf(const Statement& node) {
  for (const Branch& branch : node.branches) {
    if (branch.condition != nullptr) {
      FALLOW_ASSIGN_OR_RETURN(const Value condition, Evaluate(*branch.condition));
      if (!IsTrue(condition)) continue;
    }
    return ExecuteBody(branch.body);
  }
  return Flow::kNext;
}

// Lets waiting elements through the filter until `count` are in.
Status Interpreter::AdmitUpTo(Loop& loop, std::size_t count) {
  while (loop.items.size() < count && loop.next_waiting < loop.waiting.size()) {
    const Value& element = loop.waiting[loop.next_waiting++];
    const ScopeGuard scope(*this, loop.outer.lock());
    FALLOW_RETURN_IF_ERROR(Assign(loop.statement->target, element));
    FALLOW_ASSIGN_OR_RETURN(const Value passes, Evaluate(*loop.statement->condition));
    if (IsTrue(passes)) loop.items.push_back(element);
  }
  return {};
}

Result<bool> Interpreter::HasElementInTurn(Loop& loop) {
  FALLOW_RETURN_IF_ERROR(AdmitUpTo(loop, loop.at + 1));
  return loop.at < loop.items.size();
}

Result<Interpreter::Flow> Interpreter::RunLoop(const Statement& node, const Value& elements,
                                               std::uint32_t depth) {
  const auto loop = std::make_shared<Loop>();
  auto& source = node.condition == nullptr ? loop->items : loop->waiting;
  FALLOW_ASSIGN_OR_RETURN(source, At(node.expression->offset, Elements(elements, context_.budget)));
  loop->statement = &node;
  loop->outer = scope_;
  loop->depth = depth;
  bool completed = false;
  while (true) {
    FALLOW_ASSIGN_OR_RETURN(const bool more, HasElementInTurn(*loop));
    if (!more) break;
    const ScopeGuard scope(*this);
    scope_->variables["loop"] = Value(loop);
    const Value element = loop->items[loop->at];
    FALLOW_RETURN_IF_ERROR(Assign(node.target, element));
    FALLOW_ASSIGN_OR_RETURN(const Flow flow, ExecuteBody(node.body));
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kNext;
    ++loop->at;
  }
  // As Jinja has it, the else part also runs where every round ended in a break or continue.
  if (completed) return Flow::kNext;
  const ScopeGuard scope(*this);
  return ExecuteBody(node.otherwise);
}

Result<Value> Interpreter::CaptureLoop(Loop& outer, const Value& elements, const Expression& call) {
  const std::shared_ptr<Scope> home = outer.outer.lock();
  if (home == nullptr || !outer.statement->recursive)
    return Bad(call.offset, "only the loop of a recursive for statement can be called in it");
  TextBuilder text;
  TextBuilder* const out = std::exchange(out_, &text);
  const std::shared_ptr<Scope> scope = std::exchange(scope_, home);
  const auto flow = RunLoop(*outer.statement, elements, outer.depth + 1);
  scope_ = scope;
  out_ = out;
  if (!flow.has_value()) return std::unexpected(flow.error());
  return At(call.offset, MakeText(text.Take(), context_.budget));
}

Status Interpreter::Print(const Value& value, std::size_t offset) {
  const Text* text = value.text();
  Status status = text == nullptr ? Status() : context_.budget.SpendBytes(text->size());
  if (status.has_value()) status = AppendString(value, *out_, context_.budget);
  if (status.has_value() && out_->full()) {
    status = Fail(ErrorCode::kResourceExhausted,
                  fmt::format("the prompt has more than {} bytes", kMaxTextBytes));
  }
  if (!status.has_value()) return FailHere(offset, std::move(status).error());
  return {};
}

Result<Value> Interpreter::Capture(const Body& body) {
  const ScopeGuard scope(*this);
  TextBuilder text;
  TextBuilder* const out = std::exchange(out_, &text);
  const auto flow = ExecuteBody(body);
  out_ = out;
  if (!flow.has_value()) return std::unexpected(flow.error());
  return MakeText(text.Take(), context_.budget);
}

Status Interpreter::ExecuteSetBlock(const Statement& node) {
  FALLOW_ASSIGN_OR_RETURN(Value text, Capture(node.body));
  if (node.expression != nullptr) {
    block_texts_.push_back(std::move(text));
    FALLOW_ASSIGN_OR_RETURN(text, Evaluate(*node.expression));
    block_texts_.pop_back();
  }
  return Assign(node.target, text);
}

Status Interpreter::ExecuteFilterBlock(const Statement& node) {
  FALLOW_ASSIGN_OR_RETURN(Value text, Capture(node.body));
  block_texts_.push_back(std::move(text));
  FALLOW_ASSIGN_OR_RETURN(const Value filtered, Evaluate(*node.expression));
  block_texts_.pop_back();
  return Print(filtered, node.offset);
}

// The values are of the surrounding scope: they do not see one another.
Result<Interpreter::Flow> Interpreter::ExecuteWith(const Statement& node) {
  std::vector<Value> values;
  for (const auto& [target, expression] : node.assignments) {
    FALLOW_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    values.push_back(std::move(value));
  }
  const ScopeGuard scope(*this);
  for (std::size_t i = 0; i < values.size(); ++i)
    FALLOW_RETURN_IF_ERROR(Assign(node.assignments[i].first, values[i]));
  return ExecuteBody(node.body);
}

Status Interpreter::Assign(const Target& target, const Value& value) {
  if (target.takes_apart) return AssignParts(target, value);
  if (!target.member.empty()) return AssignMember(target, value);
  scope_->variables[target.name] = value;
  return {};
}

Status Interpreter::AssignMember(const Target& target, const Value& value) {
  constexpr std::size_t kMemberBytes = 128;
  Namespace* const name_space = LookUp(target.name).name_space();
  if (name_space == nullptr) {
    return Bad(target.offset,
               fmt::format("\"{}\" is not a namespace: its members cannot be set", target.name));
  }
  if (auto spent = context_.budget.SpendBytes(kMemberBytes); !spent.has_value())
    return FailHere(target.offset, spent.error());
  name_space->members[target.member] = value;
  return {};
}

Status Interpreter::AssignParts(const Target& target, const Value& value) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> elements,
                          At(target.offset, Elements(value, context_.budget)));
  if (elements.size() != target.parts.size()) {
    return Bad(target.offset, fmt::format("{} values are assigned to {} names", elements.size(),
                                          target.parts.size()));
  }
  for (std::size_t i = 0; i < elements.size(); ++i)
    FALLOW_RETURN_IF_ERROR(Assign(target.parts[i], elements[i]));
  return {};
}

}  // namespace fallow::engine::jinja
