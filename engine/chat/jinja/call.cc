// The Interpreter's calls and macros.
#include <fmt/format.h>

#include <algorithm>

#include "engine/chat/jinja/interpreter.h"
#include "engine/chat/jinja/token_cursor.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {

Result<Arguments> Interpreter::EvaluateArguments(const Expression& node) {
  Arguments arguments;
  for (const PassedArgument& argument : node.arguments) {
    FALLOW_ASSIGN_OR_RETURN(Value value, Evaluate(*argument.value));
    if (argument.spread != Spread::kOne) {
      FALLOW_RETURN_IF_ERROR(SpreadArgument(argument, value, arguments));
    } else if (argument.name.empty()) {
      arguments.positional.push_back(std::move(value));
    } else {
      arguments.named.emplace_back(argument.name, std::move(value));
    }
  }
  return arguments;
}

// Passes the items or members of a value as arguments of their own.
Status Interpreter::SpreadArgument(const PassedArgument& argument, const Value& value,
                                   Arguments& arguments) {
  if (argument.spread == Spread::kItems) {
    FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items,
                            At(argument.value->offset, Elements(value, context_.budget)));
    arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
    return {};
  }
  if (value.mapping() == nullptr)
    return Bad(argument.value->offset, "only a dictionary can be passed with \"**\"");
  for (const auto& [key, member] : value.mapping()->entries())
    arguments.named.emplace_back(key.text()->bytes(), member);
  return {};
}

Result<Value> Interpreter::EvaluateCall(const Expression& node, const Value* caller) {
  FALLOW_ASSIGN_OR_RETURN(const Value callee, Evaluate(*node.operands[0]));
  FALLOW_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(node));
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  if (Loop* loop = callee.loop()) {
    if (arguments.positional.size() != 1 || !arguments.named.empty())
      return Bad(node.offset, "a loop is called with the elements of its next level");
    return CaptureLoop(*loop, arguments.positional[0], node);
  }
  const Callable* callable = callee.callable();
  if (callable == nullptr) {
    if (const auto defined = RequireDefined(callee); !defined.has_value())
      return FailHere(node.offset, defined.error());
    return Bad(node.offset, fmt::format("a value of type {} cannot be called", TypeName(callee)));
  }
  if (callable->macro != nullptr) return CallMacro(*callable, std::move(arguments), node);
  return At(node.offset, Call(*callable->function, callable->self, std::move(arguments), context_));
}

Status Interpreter::DefineMacro(const Statement& node) {
  if (auto spent = context_.budget.SpendBytes(sizeof(Callable)); !spent.has_value())
    return FailHere(node.offset, spent.error());
  scope_->variables[node.name] =
      Value(std::make_shared<const Callable>(Callable{.macro = &node, .scope = scope_}));
  return {};
}

Status Interpreter::ExecuteCallBlock(const Statement& node) {
  const Value caller(std::make_shared<const Callable>(Callable{.macro = &node, .scope = scope_}));
  FALLOW_ASSIGN_OR_RETURN(const Value text, EvaluateCall(*node.expression, &caller));
  return Print(text, node.offset);
}

Result<Value> Interpreter::CallMacro(const Callable& callable, Arguments arguments,
                                     const Expression& call) {
  const std::shared_ptr<Scope> home = callable.scope.lock();
  if (home == nullptr)
    return Bad(call.offset, "the macro is called after the loop or macro it was written in");
  const DepthGuard guard(macro_depth_);
  if (macro_depth_ > kMaxMacroDepth) {
    return FailHere(call.offset,
                    {ErrorCode::kResourceExhausted,
                     fmt::format("macros call one another deeper than {}", kMaxMacroDepth)});
  }
  const ScopeGuard scope(*this, home);
  FALLOW_RETURN_IF_ERROR(BindMacro(*callable.macro, std::move(arguments), call));
  return Capture(callable.macro->body);
}

// Sets a macro's parameters in the innermost scope. A default sees the parameters before it.
Status Interpreter::BindMacro(const Statement& macro, Arguments arguments, const Expression& call) {
  std::size_t taken = 0;
  for (const Parameter& parameter : macro.parameters) {
    const auto named =
        std::ranges::find(arguments.named, parameter.name, &std::pair<std::string, Value>::first);
    Value value = Value::UndefinedBecause(
        fmt::format("argument \"{}\" of the macro is not passed", Shown(parameter.name)));
    if (taken < arguments.positional.size()) {
      if (named != arguments.named.end())
        return Bad(call.offset,
                   fmt::format("argument \"{}\" is given twice", Shown(parameter.name)));
      value = std::move(arguments.positional[taken++]);
    } else if (named != arguments.named.end()) {
      value = std::move(named->second);
      arguments.named.erase(named);
    } else if (parameter.otherwise != nullptr) {
      FALLOW_ASSIGN_OR_RETURN(value, Evaluate(*parameter.otherwise));
    }
    scope_->variables[parameter.name] = std::move(value);
  }
  arguments.positional.erase(arguments.positional.begin(),
                             arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken));
  return BindRest(macro, std::move(arguments), call);
}

// Sets varargs, kwargs and caller; what the macro does not use of them must be empty.
Status Interpreter::BindRest(const Statement& macro, Arguments arguments, const Expression& call) {
  if (macro.uses_caller) {
    const auto caller =
        std::ranges::find(arguments.named, "caller", &std::pair<std::string, Value>::first);
    const bool passed = caller != arguments.named.end();
    scope_->variables["caller"] =
        passed ? caller->second
               : Value::UndefinedBecause("the macro is not called by a call block");
    if (passed) arguments.named.erase(caller);
  }
  if (!macro.uses_varargs && !arguments.positional.empty()) {
    return Bad(call.offset,
               fmt::format("the macro takes {} arguments by position", macro.parameters.size()));
  }
  if (!macro.uses_kwargs && !arguments.named.empty()) {
    return Bad(call.offset,
               fmt::format("the macro has no parameter \"{}\"", Shown(arguments.named[0].first)));
  }
  if (macro.uses_varargs) {
    FALLOW_ASSIGN_OR_RETURN(scope_->variables["varargs"],
                            At(call.offset, MakeSequence(std::move(arguments.positional),
                                                         SequenceKind::kTuple, context_.budget)));
  }
  if (macro.uses_kwargs) {
    Mapping mapping;
    for (auto& [name, value] : arguments.named)
      mapping.Set(Value::OfTemplate(name), std::move(value));
    FALLOW_ASSIGN_OR_RETURN(scope_->variables["kwargs"],
                            At(call.offset, MakeMapping(std::move(mapping), context_.budget)));
  }
  return {};
}

}  // namespace fallow::engine::jinja
