// Equality, order and membership of values.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/chat/jinja/value.h"

namespace fallow::engine::jinja {
namespace {

// -1, 0 or 1; none where the two are not comparable numbers (not both numbers, or not a number).
std::optional<int> CompareNumbers(const Value& left, const Value& right) {
  const auto sign = [](auto a, auto b) { return a < b ? -1 : (a > b ? 1 : 0); };
  const auto left_integer = left.integer();
  const auto right_integer = right.integer();
  if (left_integer && right_integer) return sign(*left_integer, *right_integer);
  if (!(left_integer || left.real()) || !(right_integer || right.real())) return std::nullopt;
  const double a = left_integer ? static_cast<double>(*left_integer) : *left.real();
  const double b = right_integer ? static_cast<double>(*right_integer) : *right.real();
  if (a != a || b != b) return std::nullopt;
  return sign(a, b);
}

bool AreOfOneKind(const Sequence& left, const Sequence& right) {
  return left.kind == right.kind && left.kind != SequenceKind::kIterator &&
         left.kind != SequenceKind::kView;
}

Result<bool> AreEqualSequences(const Sequence& left, const Sequence& right, Budget& budget) {
  if (&left == &right) return true;
  if (!AreOfOneKind(left, right) || left.items.size() != right.items.size()) return false;
  for (std::size_t i = 0; i < left.items.size(); ++i) {
    FALLOW_ASSIGN_OR_RETURN(const bool equal, AreEqual(left.items[i], right.items[i], budget));
    if (!equal) return false;
  }
  return true;
}

Result<bool> AreEqualMappings(const Mapping& left, const Mapping& right, Budget& budget) {
  if (&left == &right) return true;
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left.entries()) {
    const Value* other = right.Find(key.text()->bytes());
    if (other == nullptr) return false;
    FALLOW_ASSIGN_OR_RETURN(const bool equal, AreEqual(value, *other, budget));
    if (!equal) return false;
  }
  return true;
}

std::unexpected<Error> NotOrdered(const Value& left, const Value& right) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} and {} have no order", TypeName(left), TypeName(right)));
}

}  // namespace

Result<bool> AreEqual(const Value& left, const Value& right, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(1));
  if (const auto order = CompareNumbers(left, right)) return *order == 0;
  if (left.data().index() != right.data().index()) return false;
  if (left.IsUndefined() || left.IsNone()) return true;
  if (const Text* text = left.text()) {
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(text->size()));
    return text->bytes() == right.text()->bytes();
  }
  if (const Sequence* sequence = left.sequence())
    return AreEqualSequences(*sequence, *right.sequence(), budget);
  if (const Mapping* mapping = left.mapping())
    return AreEqualMappings(*mapping, *right.mapping(), budget);
  if (left.callable() != nullptr) return left.callable() == right.callable();
  if (left.loop() != nullptr) return left.loop() == right.loop();
  if (left.name_space() != nullptr) return left.name_space() == right.name_space();
  return false;  // numbers of which one is not a number
}

Result<bool> IsLess(const Value& left, const Value& right, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(1));
  FALLOW_RETURN_IF_ERROR(RequireDefined(left));
  FALLOW_RETURN_IF_ERROR(RequireDefined(right));
  if (const auto order = CompareNumbers(left, right)) return *order < 0;
  if ((left.integer() || left.real()) && (right.integer() || right.real())) return false;
  if (left.text() != nullptr && right.text() != nullptr) {
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(left.text()->size()));
    return left.text()->bytes() < right.text()->bytes();
  }
  const Sequence* a = left.sequence();
  const Sequence* b = right.sequence();
  if (a == nullptr || b == nullptr || !AreOfOneKind(*a, *b) || a->kind == SequenceKind::kRange)
    return NotOrdered(left, right);
  for (std::size_t i = 0; i < std::min(a->items.size(), b->items.size()); ++i) {
    FALLOW_ASSIGN_OR_RETURN(const bool equal, AreEqual(a->items[i], b->items[i], budget));
    if (!equal) return IsLess(a->items[i], b->items[i], budget);
  }
  return a->items.size() < b->items.size();
}

Result<bool> Contains(const Value& haystack, const Value& needle, Budget& budget) {
  if (const Text* text = haystack.text()) {
    FALLOW_RETURN_IF_ERROR(RequireDefined(needle));
    if (needle.text() == nullptr) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("a value of type {} is looked for in a text", TypeName(needle)));
    }
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(text->size() + needle.text()->size()));
    return FindBytes(text->bytes(), needle.text()->bytes(), 0) != std::string_view::npos;
  }
  if (const Mapping* mapping = haystack.mapping()) {
    return needle.text() != nullptr && mapping->Find(needle.text()->bytes()) != nullptr;
  }
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> elements, Elements(haystack, budget));
  for (const Value& element : elements) {
    FALLOW_ASSIGN_OR_RETURN(const bool equal, AreEqual(element, needle, budget));
    if (equal) return true;
  }
  return false;
}

}  // namespace fallow::engine::jinja
