#include "engine/chat/jinja/functions.h"

#include <algorithm>
#include <array>

#include "engine/chat/jinja/loop.h"

namespace fallow::engine::jinja {
namespace {

const Function* Find(std::span<const Function> rows, std::string_view name) {
  const auto found = std::ranges::find(rows, name, &Function::name);
  return found == rows.end() ? nullptr : &*found;
}

Result<Value> EntriesOf(const Mapping& mapping, SequenceKind kind, Context& context) {
  FALLOW_RETURN_IF_ERROR(context.budget.SpendSteps(mapping.size()));
  std::vector<Value> entries;
  for (const auto& [key, value] : mapping.entries()) {
    FALLOW_ASSIGN_OR_RETURN(Value entry,
                            MakeSequence({key, value}, SequenceKind::kTuple, context.budget));
    entries.push_back(std::move(entry));
  }
  return MakeSequence(std::move(entries), kind, context.budget);
}

constexpr Function kMappingMethods[] = {
    {.name = "get",
     .run = [](const Value& self, const Bound& arguments, Context&) -> Result<Value> {
       const Text* key = arguments.values[0]->text();
       const Value* found = key == nullptr ? nullptr : self.mapping()->Find(key->bytes());
       return found != nullptr ? *found : arguments.Or(1, None{});
     },
     .parameters = {"key", "default"},
     .required_count = 1},
    {.name = "items",
     .run = [](const Value& self, const Bound&, Context& context) -> Result<Value> {
       return EntriesOf(*self.mapping(), SequenceKind::kView, context);
     }},
    {.name = "keys",
     .run = [](const Value& self, const Bound&, Context& context) -> Result<Value> {
       FALLOW_ASSIGN_OR_RETURN(std::vector<Value> keys, Elements(self, context.budget));
       return MakeSequence(std::move(keys), SequenceKind::kView, context.budget);
     }},
    {.name = "values",
     .run = [](const Value& self, const Bound&, Context& context) -> Result<Value> {
       FALLOW_RETURN_IF_ERROR(context.budget.SpendSteps(self.mapping()->size()));
       std::vector<Value> values;
       for (const auto& [key, value] : self.mapping()->entries()) values.push_back(value);
       return MakeSequence(std::move(values), SequenceKind::kView, context.budget);
     }},
    {.name = "copy",
     .run = [](const Value& self, const Bound&, Context&) -> Result<Value> { return self; }},
};

constexpr Function kSequenceMethods[] = {
    {.name = "count",
     .run = [](const Value& self, const Bound& arguments, Context& context) -> Result<Value> {
       std::int64_t count = 0;
       for (const Value& item : self.sequence()->items) {
         FALLOW_ASSIGN_OR_RETURN(const bool equal,
                                 AreEqual(item, *arguments.values[0], context.budget));
         count += equal ? 1 : 0;
       }
       return Value(count);
     },
     .parameters = {"value"},
     .required_count = 1},
    {.name = "index",
     .run = [](const Value& self, const Bound& arguments, Context& context) -> Result<Value> {
       const std::vector<Value>& items = self.sequence()->items;
       for (std::size_t i = 0; i < items.size(); ++i) {
         FALLOW_ASSIGN_OR_RETURN(const bool equal,
                                 AreEqual(items[i], *arguments.values[0], context.budget));
         if (equal) return Value(static_cast<std::int64_t>(i));
       }
       return Fail(ErrorCode::kInvalidArgument, "index: the value is not in the list");
     },
     .parameters = {"value"},
     .required_count = 1},
};

constexpr Function kLoopMethods[] = {
    {.name = "cycle",
     .run = [](const Value& self, const Bound& arguments, Context&) -> Result<Value> {
       const std::vector<Value>& choices = arguments.rest.positional;
       if (choices.empty()) return Fail(ErrorCode::kInvalidArgument, "cycle: no items are given");
       return choices[self.loop()->at % choices.size()];
     },
     .takes_more = true},
};

bool IsListLike(const Sequence& sequence) {
  return sequence.kind != SequenceKind::kView && sequence.kind != SequenceKind::kIterator;
}

}  // namespace

const Function* FindFilter(std::string_view name) {
  for (const auto rows : {TextFilters(), NumberFilters(), SequenceFilters(), SelectionFilters()})
    if (const Function* found = Find(rows, name)) return found;
  return nullptr;
}

const Function* FindMethod(const Value& value, std::string_view name) {
  if (value.text() != nullptr) return Find(TextMethods(), name);
  if (value.mapping() != nullptr) return Find(kMappingMethods, name);
  if (value.loop() != nullptr) return Find(kLoopMethods, name);
  if (value.sequence() != nullptr && IsListLike(*value.sequence()))
    return Find(kSequenceMethods, name);
  return nullptr;
}

bool IsMethodName(std::string_view name) {
  for (const std::span<const Function> rows :
       {TextMethods(), std::span<const Function>(kMappingMethods),
        std::span<const Function>(kSequenceMethods), std::span<const Function>(kLoopMethods)}) {
    if (Find(rows, name) != nullptr) return true;
  }
  return false;
}

}  // namespace fallow::engine::jinja
