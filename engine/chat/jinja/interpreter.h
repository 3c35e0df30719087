// An Interpreter renders a parsed template once.
//
// Every error names its place in the template. Whatever the template does, it ends within the
// limits of limits.h. Threading: belongs to one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/jinja/loop.h"
#include "engine/chat/jinja/syntax.h"
#include "engine/chat/jinja/text_builder.h"

namespace fallow::engine::jinja {

// The names that a part of a template sees. A for statement's body, a macro and a with block have
// their own; what they set is gone after them. An if has none.
struct Scope {
  std::map<std::string, Value, std::less<>> variables;
  std::shared_ptr<Scope> parent;
};

class Interpreter {
 public:
  // Both must outlive the interpreter.
  Interpreter(const Program& program, Context& context) : program_(program), context_(context) {}

  Result<Text> Run(std::map<std::string, Value, std::less<>> variables);

 private:
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };
  // Makes a new innermost scope while it lives.
  class ScopeGuard;

  // Statements.
  Result<Flow> ExecuteBody(const Body& body);
  Result<Flow> Execute(const Statement& node);
  Result<Flow> ExecuteIf(const Statement& node);
  Result<Flow> RunLoop(const Statement& node, const Value& elements, std::uint32_t depth);
  Result<bool> HasElementInTurn(Loop& loop);
  Status AdmitUpTo(Loop& loop, std::size_t count);
  Status ExecuteSetBlock(const Statement& node);
  Status ExecuteCallBlock(const Statement& node);
  Status ExecuteFilterBlock(const Statement& node);
  Result<Flow> ExecuteWith(const Statement& node);
  Status DefineMacro(const Statement& node);
  Status Assign(const Target& target, const Value& value);
  Status AssignMember(const Target& target, const Value& value);
  Status AssignParts(const Target& target, const Value& value);
  Status Print(const Value& value, std::size_t offset);
  // What the body writes, in a scope of its own.
  Result<Value> Capture(const Body& body);
  Result<Value> CaptureLoop(Loop& outer, const Value& elements, const Expression& call);

  // Expressions.
  Result<Value> Evaluate(const Expression& node);
  Result<Value> EvaluateKind(const Expression& node);
  Result<std::vector<Value>> EvaluateAll(const std::vector<ExpressionPtr>& nodes);
  Result<Value> EvaluateDictionary(const Expression& node);
  Result<Value> EvaluateLogic(const Expression& node);
  Result<Value> EvaluateArithmetic(const Expression& node);
  Result<Value> EvaluateConcatenation(const Expression& node);
  Result<Value> EvaluateComparison(const Expression& node);
  Result<Value> EvaluateConditional(const Expression& node);
  Result<Value> EvaluateMember(const Expression& node);
  Result<Value> EvaluateSlice(const Expression& node);
  Result<Value> EvaluateApplication(const Expression& node);
  Value LookUp(std::string_view name);

  // Calls. `caller` is what a call block adds, or null.
  Result<Arguments> EvaluateArguments(const Expression& node);
  Status SpreadArgument(const PassedArgument& argument, const Value& value, Arguments& arguments);
  Result<Value> EvaluateCall(const Expression& node, const Value* caller);
  Result<Value> CallMacro(const Callable& callable, Arguments arguments, const Expression& call);
  Status BindMacro(const Statement& macro, Arguments arguments, const Expression& call);
  Status BindRest(const Statement& macro, Arguments arguments, const Expression& call);

  std::unexpected<Error> Bad(std::size_t offset, std::string message) const;
  // The result, its error with the place.
  template <class T>
  Result<T> At(std::size_t offset, Result<T> result) const {
    if (result.has_value()) return result;
    return FailHere(offset, std::move(result).error());
  }
  std::unexpected<Error> FailHere(std::size_t offset, Error error) const;

  const Program& program_;
  Context& context_;
  std::shared_ptr<Scope> scope_;
  TextBuilder* out_ = nullptr;
  std::vector<Value> block_texts_;  // of filter blocks and filtered set blocks, innermost last
  std::uint32_t depth_ = 0;         // of what is being evaluated and executed
  std::uint32_t macro_depth_ = 0;
};

class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter& interpreter, std::shared_ptr<Scope> parent)
      : interpreter_(interpreter), outer_(interpreter.scope_) {
    interpreter.scope_ = std::make_shared<Scope>(Scope{.parent = std::move(parent)});
  }
  explicit ScopeGuard(Interpreter& interpreter) : ScopeGuard(interpreter, interpreter.scope_) {}
  ~ScopeGuard() { interpreter_.scope_ = std::move(outer_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Scope> outer_;
};

}  // namespace fallow::engine::jinja
