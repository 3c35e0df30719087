// A template as a tree. Immutable once parsed; many renderings may share it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/chat/jinja/callable.h"
#include "engine/chat/jinja/operators.h"

namespace fallow::engine::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind : std::uint8_t {
  kConstant,     // constant
  kName,         // name
  kList,         // operands
  kTuple,        // operands
  kDictionary,   // operands: key, value, key, value, …
  kNot,          // operands[0]
  kMinus,        // operands[0]
  kPlus,         // operands[0]
  kAnd,          // operands[0], [1]
  kOr,           // operands[0], [1]
  kArithmetic,   // operands[0], [1] under `arithmetic`
  kConcatenate,  // operands, as texts
  kCompare,      // operands[0] comparisons[0] operands[1] comparisons[1] operands[2] …
  kConditional,  // operands[0] if operands[1] else operands[2], which may be null
  kAttribute,    // operands[0].name
  kItem,         // operands[0][operands[1]]
  kSlice,   // operands[0][operands[1]:operands[2]:operands[3]], of which the last three may be null
  kCall,    // operands[0](arguments)
  kFilter,  // operands[0] | function(arguments)
  kTest,    // operands[0] is function(arguments)
  kBlockText,  // what the block around a filter has written
};

// An argument of a call; `name` is empty if it is passed by position.
enum class Spread : std::uint8_t {
  kOne,      // value
  kItems,    // *value: each item by position
  kMembers,  // **value: each member by name
};
struct PassedArgument {
  std::string name;
  ExpressionPtr value;
  Spread spread = Spread::kOne;
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  std::size_t offset = 0;   // in the normalised source
  std::uint32_t depth = 1;  // of the tree from here
  std::string name;
  Value constant;
  Arithmetic arithmetic = Arithmetic::kAdd;
  std::vector<Comparison> comparisons;
  const Function* function = nullptr;
  std::vector<ExpressionPtr> operands;
  std::vector<PassedArgument> arguments;
};

struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

// Where an assignment goes: a name, a namespace's member, or several targets that take the value
// apart.
struct Target {
  std::size_t offset = 0;
  std::string name;
  std::string member;  // not empty: of the namespace `name`
  std::vector<Target> parts;
  bool takes_apart = false;
};

// A parameter of a macro; `otherwise` may be null.
struct Parameter {
  std::string name;
  ExpressionPtr otherwise;
};

// `if condition` or `elif condition`; a null condition is `else`.
struct Branch {
  ExpressionPtr condition;
  Body body;
};

enum class StatementKind : std::uint8_t {
  kText,         // text
  kPrint,        // expression
  kIf,           // branches
  kFor,          // target in expression if condition, recursive: body, otherwise
  kSet,          // target = expression
  kSetBlock,     // target = what body writes, through expression if not null
  kMacro,        // name, parameters, body
  kCallBlock,    // expression is a call; parameters and body make its caller
  kFilterBlock,  // what body writes through expression
  kWith,         // assignments, seen by body only
  kGeneration,   // body: what an assistant wrote, marked for training
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  std::size_t offset = 0;
  Value text;
  ExpressionPtr expression;
  Target target;
  ExpressionPtr condition;
  bool recursive = false;
  std::vector<Branch> branches;
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Body body;
  Body otherwise;
  std::string name;
  std::vector<Parameter> parameters;
  // Which of a macro's implied names its body uses: without them, what they would hold is refused.
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};

struct Program {
  std::string source;  // normalised
  Body body;
};

}  // namespace fallow::engine::jinja
