// What may follow `is`.
#include <algorithm>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/operators.h"

namespace fallow::engine::jinja {
namespace {

template <bool (*holds)(const Value&)>
Result<Value> Holds(const Value& self, const Bound&, Context&) {
  return Value(holds(self));
}

template <Comparison comparison>
Result<Value> Compares(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const bool holds,
                          Compare(comparison, self, *arguments.values[0], context.budget));
  return Value(holds);
}

template <int remainder>
Result<Value> HasParity(const Value& self, const Bound&, Context&) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t number, AsInteger(self, "number"));
  return Value((number % 2 != 0) == (remainder != 0));
}

Result<Value> IsDivisible(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value remainder,
                          Compute(Arithmetic::kModulo, self, *arguments.values[0], context.budget));
  return Value(!IsTrue(remainder));
}

// The same object: decided for what has one value only, and for what is shared.
Result<Value> IsSame(const Value& self, const Bound& arguments, Context&) {
  const Value& other = *arguments.values[0];
  if (self.data().index() != other.data().index()) return Value(false);
  if (self.IsNone()) return Value(true);
  if (self.boolean() != nullptr) return Value(*self.boolean() == *other.boolean());
  if (self.sequence() != nullptr) return Value(self.sequence() == other.sequence());
  if (self.mapping() != nullptr) return Value(self.mapping() == other.mapping());
  if (self.name_space() != nullptr) return Value(self.name_space() == other.name_space());
  return Fail(ErrorCode::kUnimplemented,
              "sameas: the identity of texts and numbers is not defined");
}

bool IsDefined(const Value& value) {
  return !value.IsUndefined();
}
bool IsNotDefined(const Value& value) {
  return value.IsUndefined();
}
bool IsNoneValue(const Value& value) {
  return value.IsNone();
}
bool IsBoolean(const Value& value) {
  return value.boolean() != nullptr;
}
bool IsTrueValue(const Value& value) {
  return value.boolean() != nullptr && *value.boolean();
}
bool IsFalseValue(const Value& value) {
  return value.boolean() != nullptr && !*value.boolean();
}
bool IsInteger(const Value& value) {
  return value.Is<std::int64_t>();
}
bool IsReal(const Value& value) {
  return value.real() != nullptr;
}
// Python counts booleans among the numbers.
bool IsNumber(const Value& value) {
  return value.integer().has_value() || value.real() != nullptr;
}
bool IsString(const Value& value) {
  return value.text() != nullptr;
}
bool IsMapping(const Value& value) {
  return value.mapping() != nullptr;
}
bool IsIterable(const Value& value) {
  return value.IsUndefined() || value.text() != nullptr || value.mapping() != nullptr ||
         value.sequence() != nullptr || value.loop() != nullptr;
}
// Python's dictionaries can be counted and indexed, and so pass for sequences here.
bool IsSequence(const Value& value) {
  const Sequence* sequence = value.sequence();
  if (sequence == nullptr)
    return value.IsUndefined() || value.text() != nullptr || value.mapping() != nullptr;
  return sequence->kind != SequenceKind::kView && sequence->kind != SequenceKind::kIterator;
}
bool IsCallable(const Value& value) {
  // An undefined value has a call, which complains.
  return value.IsUndefined() || value.callable() != nullptr || value.loop() != nullptr;
}
bool IsFilterName(const Value& value) {
  return value.text() != nullptr && FindFilter(value.text()->bytes()) != nullptr;
}
bool IsTestName(const Value& value) {
  return value.text() != nullptr && FindTest(value.text()->bytes()) != nullptr;
}

template <Comparison comparison>
constexpr Function ComparisonRow(std::string_view name) {
  return {.name = name, .run = Compares<comparison>, .parameters = {"other"}, .required_count = 1};
}

constexpr Function kTests[] = {
    {.name = "defined", .run = Holds<IsDefined>},
    {.name = "undefined", .run = Holds<IsNotDefined>},
    {.name = "none", .run = Holds<IsNoneValue>},
    {.name = "boolean", .run = Holds<IsBoolean>},
    {.name = "true", .run = Holds<IsTrueValue>},
    {.name = "false", .run = Holds<IsFalseValue>},
    {.name = "integer", .run = Holds<IsInteger>},
    {.name = "float", .run = Holds<IsReal>},
    {.name = "number", .run = Holds<IsNumber>},
    {.name = "string", .run = Holds<IsString>},
    {.name = "mapping", .run = Holds<IsMapping>},
    {.name = "iterable", .run = Holds<IsIterable>},
    {.name = "sequence", .run = Holds<IsSequence>},
    {.name = "callable", .run = Holds<IsCallable>},
    {.name = "filter", .run = Holds<IsFilterName>},
    {.name = "test", .run = Holds<IsTestName>},
    {.name = "odd", .run = HasParity<1>},
    {.name = "even", .run = HasParity<0>},
    {.name = "divisibleby", .run = IsDivisible, .parameters = {"num"}, .required_count = 1},
    {.name = "sameas", .run = IsSame, .parameters = {"other"}, .required_count = 1},
    ComparisonRow<Comparison::kIn>("in"),
    ComparisonRow<Comparison::kEqual>("eq"),
    ComparisonRow<Comparison::kEqual>("equalto"),
    ComparisonRow<Comparison::kEqual>("=="),
    ComparisonRow<Comparison::kNotEqual>("ne"),
    ComparisonRow<Comparison::kNotEqual>("!="),
    ComparisonRow<Comparison::kLess>("lt"),
    ComparisonRow<Comparison::kLess>("lessthan"),
    ComparisonRow<Comparison::kLess>("<"),
    ComparisonRow<Comparison::kLessOrEqual>("le"),
    ComparisonRow<Comparison::kLessOrEqual>("<="),
    ComparisonRow<Comparison::kGreater>("gt"),
    ComparisonRow<Comparison::kGreater>("greaterthan"),
    ComparisonRow<Comparison::kGreater>(">"),
    ComparisonRow<Comparison::kGreaterOrEqual>("ge"),
    ComparisonRow<Comparison::kGreaterOrEqual>(">="),
};

}  // namespace

const Function* FindTest(std::string_view name) {
  const auto found = std::ranges::find(kTests, name, &Function::name);
  return found == std::end(kTests) ? nullptr : &*found;
}

}  // namespace fallow::engine::jinja
