#include <fmt/format.h>

#include <cmath>

#include "engine/chat/jinja/operators.h"
#include "engine/chat/jinja/percent_format.h"
#include "engine/chat/jinja/text_builder.h"

namespace fallow::engine::jinja {
namespace {

std::string_view Sign(Arithmetic operation) {
  constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSigns[static_cast<std::size_t>(operation)];
}

std::unexpected<Error> Overflow() {
  return Fail(ErrorCode::kInvalidArgument, "an integer does not fit in 64 bits");
}
std::unexpected<Error> DivisionByZero() {
  return Fail(ErrorCode::kInvalidArgument, "division by zero");
}

// Python rounds quotients down and gives remainders the divisor's sign.
Result<Value> FloorDivide(std::int64_t left, std::int64_t right, bool want_remainder) {
  if (right == 0) return DivisionByZero();
  if (right == -1) {
    if (want_remainder) return Value(std::int64_t{0});
    std::int64_t negated = 0;
    if (__builtin_sub_overflow(std::int64_t{0}, left, &negated)) return Overflow();
    return Value(negated);
  }
  const bool off = left % right != 0 && (left < 0) != (right < 0);
  if (want_remainder) return Value(left % right + (off ? right : 0));
  return Value(left / right - (off ? 1 : 0));
}

Result<Value> Power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    return Fail(ErrorCode::kUnimplemented, "powers with a negative exponent are not computed");
  }
  std::int64_t power = 1;
  // Each bit of the exponent squares the base, so there are at most 63 rounds.
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(power, base, &power)) return Overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return Overflow();
  }
  return Value(power);
}

Result<Value> ComputeIntegers(Arithmetic operation, std::int64_t left, std::int64_t right) {
  std::int64_t result = 0;
  switch (operation) {
    case Arithmetic::kAdd:
      if (__builtin_add_overflow(left, right, &result)) return Overflow();
      return Value(result);
    case Arithmetic::kSubtract:
      if (__builtin_sub_overflow(left, right, &result)) return Overflow();
      return Value(result);
    case Arithmetic::kMultiply:
      if (__builtin_mul_overflow(left, right, &result)) return Overflow();
      return Value(result);
    case Arithmetic::kDivide:
      if (right == 0) return DivisionByZero();
      return Value(static_cast<double>(left) / static_cast<double>(right));
    case Arithmetic::kFloorDivide:
      return FloorDivide(left, right, false);
    case Arithmetic::kModulo:
      return FloorDivide(left, right, true);
    case Arithmetic::kPower:
      return Power(left, right);
  }
  return Overflow();
}

Result<Value> ComputeReals(Arithmetic operation, double left, double right) {
  switch (operation) {
    case Arithmetic::kAdd:
      return Value(left + right);
    case Arithmetic::kSubtract:
      return Value(left - right);
    case Arithmetic::kMultiply:
      return Value(left * right);
    case Arithmetic::kDivide:
      if (right == 0) return DivisionByZero();
      return Value(left / right);
    case Arithmetic::kFloorDivide:
    case Arithmetic::kModulo: {
      if (right == 0) return DivisionByZero();
      double remainder = std::fmod(left, right);
      if (remainder != 0 && (remainder < 0) != (right < 0)) remainder += right;
      if (operation == Arithmetic::kModulo) return Value(remainder);
      const double quotient = (left - remainder) / right;  // whole but for rounding
      const double below = std::floor(quotient);
      return Value(quotient - below > 0.5 ? below + 1 : below);
    }
    case Arithmetic::kPower:
      break;
  }
  // A library's pow may round differently on every system, and prompts must not differ.
  return Fail(ErrorCode::kUnimplemented, "powers of fractions are not computed");
}

Result<Value> Concatenate(const Sequence& left, const Sequence& right, Budget& budget) {
  const std::size_t count = left.items.size() + right.items.size();
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(count));
  FALLOW_RETURN_IF_ERROR(budget.SpendBytes(count * sizeof(Value)));
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return MakeSequence(std::move(items), left.kind, budget);
}

bool IsListOrTuple(const Sequence* sequence) {
  return sequence != nullptr &&
         (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple);
}

Result<Value> Repeat(const Text& text, std::int64_t count, Budget& budget) {
  if (count <= 0 || text.empty()) return MakeText(Text(), budget);
  TextBuilder out;
  out.Append(text);
  // By doubling, so that short texts take few steps; a large count fills the builder soon.
  for (std::int64_t left = count - 1; left > 0 && !out.full();) {
    const Text made = out.text();
    const std::int64_t copies =
        std::min(left, static_cast<std::int64_t>(made.size() / text.size()));
    out.Append(made, 0, text.size() * static_cast<std::size_t>(copies));
    left -= copies;
  }
  return MakeText(out.Take(), budget);
}

Result<Value> Repeat(const Sequence& sequence, std::int64_t count, Budget& budget) {
  std::vector<Value> items;
  for (std::int64_t i = 0; i < count && !sequence.items.empty(); ++i) {
    FALLOW_RETURN_IF_ERROR(budget.SpendSteps(sequence.items.size()));
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
    if (items.size() > kMaxElements) break;
  }
  return MakeSequence(std::move(items), sequence.kind, budget);
}

// None if the operation is not one of texts and lists.
Result<std::optional<Value>> ComputeOthers(Arithmetic operation, const Value& left,
                                           const Value& right, Budget& budget) {
  if (operation == Arithmetic::kModulo && left.text() != nullptr)
    return FormatPercent(*left.text(), right, budget);
  if (operation == Arithmetic::kAdd) {
    if (left.text() != nullptr && right.text() != nullptr) {
      TextBuilder out;
      out.Append(*left.text());
      out.Append(*right.text());
      return MakeText(out.Take(), budget);
    }
    if (IsListOrTuple(left.sequence()) && IsListOrTuple(right.sequence()) &&
        left.sequence()->kind == right.sequence()->kind) {
      return Concatenate(*left.sequence(), *right.sequence(), budget);
    }
  }
  if (operation == Arithmetic::kMultiply) {
    const Value& repeated = left.integer() ? right : left;
    const auto count = left.integer() ? left.integer() : right.integer();
    if (count && repeated.text() != nullptr) return Repeat(*repeated.text(), *count, budget);
    if (count && IsListOrTuple(repeated.sequence()))
      return Repeat(*repeated.sequence(), *count, budget);
  }
  return std::nullopt;
}

std::optional<double> AsReal(const Value& value) {
  if (const auto number = value.integer()) return static_cast<double>(*number);
  if (const double* number = value.real()) return *number;
  return std::nullopt;
}

}  // namespace

Result<Value> Compute(Arithmetic operation, const Value& left, const Value& right, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(RequireDefined(left));
  FALLOW_RETURN_IF_ERROR(RequireDefined(right));
  if (left.integer() && right.integer())
    return ComputeIntegers(operation, *left.integer(), *right.integer());
  const auto left_real = AsReal(left);
  const auto right_real = AsReal(right);
  if (left_real && right_real) return ComputeReals(operation, *left_real, *right_real);
  FALLOW_ASSIGN_OR_RETURN(const auto computed, ComputeOthers(operation, left, right, budget));
  if (computed.has_value()) return *computed;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("\"{}\" does not apply to {} and {}", Sign(operation), TypeName(left),
                          TypeName(right)));
}

Result<Value> Negate(const Value& value) {
  if (const double* real = value.real()) return Value(-*real);
  if (value.integer()) return ComputeIntegers(Arithmetic::kSubtract, 0, *value.integer());
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("\"-\" does not apply to {}", TypeName(value)));
}

Result<Value> Affirm(const Value& value) {
  if (value.real() != nullptr) return value;
  if (value.integer()) return Value(*value.integer());
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("\"+\" does not apply to {}", TypeName(value)));
}

Result<bool> Compare(Comparison comparison, const Value& left, const Value& right, Budget& budget) {
  const auto negated = [](Result<bool> result) -> Result<bool> {
    if (!result.has_value()) return result;
    return !*result;
  };
  switch (comparison) {
    case Comparison::kEqual:
      return AreEqual(left, right, budget);
    case Comparison::kNotEqual:
      return negated(AreEqual(left, right, budget));
    case Comparison::kLess:
      return IsLess(left, right, budget);
    case Comparison::kGreater:
      return IsLess(right, left, budget);
    case Comparison::kLessOrEqual:
    case Comparison::kGreaterOrEqual: {
      const bool swapped = comparison == Comparison::kGreaterOrEqual;
      FALLOW_ASSIGN_OR_RETURN(const bool less,
                              swapped ? IsLess(right, left, budget) : IsLess(left, right, budget));
      if (less) return true;
      return AreEqual(left, right, budget);
    }
    case Comparison::kIn:
      return Contains(right, left, budget);
    case Comparison::kNotIn:
      return negated(Contains(right, left, budget));
  }
  return false;
}

}  // namespace fallow::engine::jinja
