#include "engine/chat/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/chat/jinja/callable.h"

namespace fallow::engine::jinja {

Value Value::UndefinedBecause(std::string why) {
  return Undefined{std::make_shared<const std::string>(std::move(why))};
}

std::optional<std::int64_t> Value::integer() const {
  if (const bool* truth = boolean()) return *truth ? 1 : 0;
  if (const auto* number = std::get_if<std::int64_t>(&data_)) return *number;
  return std::nullopt;
}

void Mapping::Set(const Value& key, Value value) {
  FALLOW_CHECK(key.text() != nullptr);
  depth_ = std::max(depth_, 1 + DepthOf(value));
  const auto [place, added] = places_.try_emplace(key.text()->bytes(), entries_.size());
  if (added) {
    entries_.emplace_back(key, std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

const Value* Mapping::Find(std::string_view key) const {
  if (key.size() > kMaxNameBytes) return nullptr;  // no key is so long
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &entries_[found->second].second;
}

std::uint32_t DepthOf(const Value& value) {
  if (const Sequence* sequence = value.sequence()) return sequence->depth;
  if (const Mapping* mapping = value.mapping()) return mapping->depth();
  if (const Callable* callable = value.callable()) return 1 + DepthOf(callable->self);
  return 0;
}

namespace {

Status CheckShape(std::size_t count, std::uint32_t depth, std::string_view what) {
  if (count > kMaxElements) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("a {} of {} elements; {} are allowed", what, count, kMaxElements));
  }
  if (depth > kMaxValueDepth) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("a {} nested deeper than {}", what, kMaxValueDepth));
  }
  return {};
}

}  // namespace

Status CheckKey(const Value& key) {
  if (key.text()->size() <= kMaxNameBytes) return {};
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("a dictionary's key of more than {} bytes", kMaxNameBytes));
}

Result<Value> MakeText(Text text, Budget& budget) {
  if (text.footprint() > kMaxTextBytes) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("a text of more than {} bytes, the marks of who wrote what included",
                            kMaxTextBytes));
  }
  FALLOW_RETURN_IF_ERROR(budget.SpendSteps(text.footprint() / kBytesPerStep));
  FALLOW_RETURN_IF_ERROR(budget.SpendBytes(sizeof(Text) + text.footprint()));
  return Value::OfText(std::move(text));
}

Result<Value> MakeSequence(std::vector<Value> items, SequenceKind kind, Budget& budget) {
  Sequence sequence{.kind = kind, .items = std::move(items)};
  for (const Value& item : sequence.items)
    sequence.depth = std::max(sequence.depth, 1 + DepthOf(item));
  FALLOW_RETURN_IF_ERROR(CheckShape(sequence.items.size(), sequence.depth, "list"));
  FALLOW_RETURN_IF_ERROR(
      budget.SpendBytes(sizeof(Sequence) + sequence.items.size() * sizeof(Value)));
  return Value(std::make_shared<const Sequence>(std::move(sequence)));
}

Result<Value> MakeMapping(Mapping mapping, Budget& budget) {
  constexpr std::size_t kEntryBytes = sizeof(Mapping::Entry) + 96;  // with its place in the tree
  FALLOW_RETURN_IF_ERROR(CheckShape(mapping.size(), mapping.depth(), "dictionary"));
  for (const auto& [key, value] : mapping.entries()) FALLOW_RETURN_IF_ERROR(CheckKey(key));
  FALLOW_RETURN_IF_ERROR(budget.SpendBytes(sizeof(Mapping) + mapping.size() * kEntryBytes));
  return Value(std::make_shared<const Mapping>(std::move(mapping)));
}

std::string_view TypeName(const Value& value) {
  constexpr std::string_view kNames[] = {"undefined", "None", "bool",     "int",  "float",    "str",
                                         "list",      "dict", "function", "loop", "namespace"};
  static_assert(std::size(kNames) == std::variant_size_v<Value::Data>);
  if (const Sequence* sequence = value.sequence()) {
    constexpr std::string_view kKinds[] = {"list", "tuple", "range", "dictionary view", "iterator"};
    return kKinds[static_cast<std::size_t>(sequence->kind)];
  }
  return kNames[value.data().index()];
}

Status RequireDefined(const Value& value) {
  const auto* undefined = std::get_if<Undefined>(&value.data());
  if (undefined == nullptr) return {};
  return Fail(ErrorCode::kInvalidArgument,
              undefined->why == nullptr ? "a value that is not defined is used" : *undefined->why);
}

bool IsTrue(const Value& value) {
  if (value.IsUndefined() || value.IsNone()) return false;
  if (const auto number = value.integer()) return *number != 0;
  if (const double* number = value.real()) return *number != 0;
  if (const Text* text = value.text()) return !text->empty();
  if (const Mapping* mapping = value.mapping()) return mapping->size() > 0;
  if (const Sequence* sequence = value.sequence()) {
    return sequence->kind == SequenceKind::kIterator || !sequence->items.empty();
  }
  return true;
}

Result<std::vector<Value>> Elements(const Value& value, Budget& budget) {
  std::vector<Value> elements;
  if (value.IsUndefined()) return elements;
  if (const Sequence* sequence = value.sequence()) {
    FALLOW_RETURN_IF_ERROR(budget.SpendSteps(sequence->items.size()));
    FALLOW_RETURN_IF_ERROR(budget.SpendBytes(sequence->items.size() * sizeof(Value)));
    elements.assign(sequence->items.begin() + static_cast<std::ptrdiff_t>(sequence->taken),
                    sequence->items.end());
    if (sequence->kind == SequenceKind::kIterator) sequence->taken = sequence->items.size();
    return elements;
  }
  if (const Mapping* mapping = value.mapping()) {
    FALLOW_RETURN_IF_ERROR(budget.SpendSteps(mapping->size()));
    FALLOW_RETURN_IF_ERROR(budget.SpendBytes(mapping->size() * sizeof(Value)));
    for (const auto& [key, element] : mapping->entries()) elements.push_back(key);
    return elements;
  }
  if (const Text* text = value.text()) {
    const std::string_view bytes = text->bytes();
    FALLOW_RETURN_IF_ERROR(budget.SpendSteps(bytes.size()));
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t length = CharacterBytes(bytes.substr(at));
      FALLOW_ASSIGN_OR_RETURN(Value character, MakeText(text->Slice(at, length), budget));
      FALLOW_RETURN_IF_ERROR(CheckShape(elements.size(), 1, "list"));
      elements.push_back(std::move(character));
      at += length;
    }
    return elements;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("a value of type {} has no elements to go over", TypeName(value)));
}

Result<std::int64_t> Length(const Value& value, Budget& budget) {
  if (value.IsUndefined()) return 0;
  if (const Mapping* mapping = value.mapping()) return static_cast<std::int64_t>(mapping->size());
  if (const Text* text = value.text()) {
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(text->size()));
    return static_cast<std::int64_t>(CountCharacters(text->bytes()));
  }
  if (const Sequence* sequence = value.sequence();
      sequence != nullptr && sequence->kind != SequenceKind::kIterator) {
    return static_cast<std::int64_t>(sequence->items.size());
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("a value of type {} has no length", TypeName(value)));
}

}  // namespace fallow::engine::jinja
