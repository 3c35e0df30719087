// What a template's operators do to values, as Python does it; integers are 64 bits wide, and what
// does not fit is an error.
#pragma once

#include <optional>
#include <string_view>

#include "engine/chat/jinja/callable.h"

namespace fallow::engine::jinja {

enum class Arithmetic : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
};

Result<Value> Compute(Arithmetic operation, const Value& left, const Value& right, Budget& budget);
Result<Value> Negate(const Value& value);
// Unary plus.
Result<Value> Affirm(const Value& value);

enum class Comparison : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kIn,
  kNotIn,
};
Result<bool> Compare(Comparison comparison, const Value& left, const Value& right, Budget& budget);

// value.name: a method or attribute, else the member of that name; undefined if there is neither.
Result<Value> GetAttribute(const Value& value, std::string_view name, Budget& budget);
// value[key]: an element, character or member, else the method or attribute of that name; undefined
// if there is neither.
Result<Value> GetItem(const Value& value, const Value& key, Budget& budget);
// value[start:stop:step]; none where left out.
Result<Value> GetSlice(const Value& value, std::optional<std::int64_t> start,
                       std::optional<std::int64_t> stop, std::optional<std::int64_t> step,
                       Budget& budget);

}  // namespace fallow::engine::jinja
