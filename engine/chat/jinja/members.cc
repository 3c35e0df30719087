// Attributes, elements and slices of values.
#include <fmt/format.h>

#include <algorithm>

#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/loop.h"
#include "engine/chat/jinja/operators.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

Value Missing(const Value& value, std::string_view name) {
  if (value.IsUndefined()) return value;
  return Value::UndefinedBecause(
      fmt::format("a value of type {} has no member \"{}\"", TypeName(value), Shown(name)));
}

std::optional<Value> FindAttribute(const Value& value, std::string_view name) {
  if (const Loop* loop = value.loop()) {
    if (const auto found = loop->Member(name)) return found;
  }
  if (const Namespace* name_space = value.name_space()) {
    const auto found = name_space->members.find(name);
    if (found != name_space->members.end()) return found->second;
  }
  if (const Function* method = FindMethod(value, name))
    return Value(std::make_shared<const Callable>(Callable{.function = method, .self = value}));
  return std::nullopt;
}

const Value* FindMember(const Value& value, std::string_view name) {
  const Mapping* mapping = value.mapping();
  return mapping == nullptr ? nullptr : mapping->Find(name);
}

// The element at `index`, which counts from the end if negative; none beyond the ends.
Result<std::optional<Value>> FindElement(const Value& value, std::int64_t index, Budget& budget) {
  const Sequence* sequence = value.sequence();
  if (sequence != nullptr &&
      (sequence->kind == SequenceKind::kView || sequence->kind == SequenceKind::kIterator)) {
    return std::nullopt;
  }
  if (sequence == nullptr && value.text() == nullptr) return std::nullopt;
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t length, Length(value, budget));
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  if (sequence != nullptr) return sequence->items[static_cast<std::size_t>(index)];
  return GetSlice(value, index, index + 1, std::nullopt, budget);
}

// The places that Python's slice(start, stop, step) takes of `length` elements.
struct SlicePlaces {
  std::int64_t first = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};

SlicePlaces PlacesOf(std::int64_t length, std::optional<std::int64_t> start,
                     std::optional<std::int64_t> stop, std::int64_t step) {
  const std::int64_t lowest = step < 0 ? -1 : 0;
  const std::int64_t highest = step < 0 ? length - 1 : length;
  const auto place = [&](std::int64_t at) {
    return std::clamp(at < 0 ? at + length : at, lowest, highest);
  };
  const std::int64_t first = start ? place(*start) : (step < 0 ? highest : lowest);
  const std::int64_t end = stop ? place(*stop) : (step < 0 ? lowest : highest);
  // No more places than elements, however long the step.
  const std::int64_t distance = step < 0 ? first - end : end - first;
  const std::uint64_t stride =
      step < 0 ? ~static_cast<std::uint64_t>(step) + 1 : static_cast<std::uint64_t>(step);
  if (distance <= 0) return {first, step, 0};
  return {first, step,
          static_cast<std::int64_t>((static_cast<std::uint64_t>(distance) - 1) / stride + 1)};
}

Result<Value> SliceText(const Text& text, const SlicePlaces& places, Budget& budget) {
  std::vector<std::size_t> starts;  // of the characters, and the end
  for (std::size_t at = 0; at < text.size();) {
    starts.push_back(at);
    at += CharacterBytes(std::string_view(text.bytes()).substr(at));
  }
  starts.push_back(text.size());
  Text slice;
  if (places.step == 1) {
    const std::size_t begin = starts[static_cast<std::size_t>(places.first)];
    const std::size_t end = starts[static_cast<std::size_t>(places.first + places.count)];
    return MakeText(text.Slice(begin, end - begin), budget);
  }
  for (std::int64_t i = 0; i < places.count; ++i) {
    const auto at = static_cast<std::size_t>(places.first + i * places.step);
    slice.Append(text, starts[at], starts[at + 1] - starts[at]);
  }
  return MakeText(std::move(slice), budget);
}

}  // namespace

Result<Value> GetAttribute(const Value& value, std::string_view name, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(1));
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  if (auto found = FindAttribute(value, name)) return *std::move(found);
  if (const Value* found = FindMember(value, name)) return *found;
  return Missing(value, name);
}

Result<Value> GetItem(const Value& value, const Value& key, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(1));
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  if (const auto index = key.integer()) {
    FALLOW_ASSIGN_OR_RETURN(auto found, FindElement(value, *index, budget));
    return found.has_value() ? *std::move(found) : Missing(value, fmt::format("{}", *index));
  }
  if (key.text() == nullptr) return Missing(value, TypeName(key));
  const std::string& name = key.text()->bytes();
  if (const Value* found = FindMember(value, name)) return *found;
  if (auto found = FindAttribute(value, name)) return *std::move(found);
  return Missing(value, name);
}

Result<Value> GetSlice(const Value& value, std::optional<std::int64_t> start,
                       std::optional<std::int64_t> stop, std::optional<std::int64_t> step,
                       Budget& budget) {
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  if (step == 0) return Fail(ErrorCode::kInvalidArgument, "a slice's step is zero");
  const Sequence* sequence = value.sequence();
  const bool sliceable =
      value.text() != nullptr || (sequence != nullptr && sequence->kind != SequenceKind::kView &&
                                  sequence->kind != SequenceKind::kIterator);
  if (!sliceable) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a value of type {} cannot be sliced", TypeName(value)));
  }
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t length, Length(value, budget));
  const SlicePlaces places = PlacesOf(length, start, stop, step.value_or(1));
  if (sequence == nullptr) {
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(value.text()->size()));
    return SliceText(*value.text(), places, budget);
  }
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(static_cast<std::uint64_t>(places.count)));
  std::vector<Value> items;
  for (std::int64_t i = 0; i < places.count; ++i)
    items.push_back(sequence->items[static_cast<std::size_t>(places.first + i * places.step)]);
  return MakeSequence(std::move(items), sequence->kind, budget);
}

}  // namespace fallow::engine::jinja
