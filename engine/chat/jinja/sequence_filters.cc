// Filters that take a whole list, dictionary or text.
#include <algorithm>
#include <set>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/operators.h"
#include "engine/chat/jinja/sort_values.h"
#include "engine/chat/jinja/write_value.h"

namespace fallow::engine::jinja {
namespace {

Result<Value> CountElements(const Value& self, const Bound&, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t length, Length(self, context.budget));
  return Value(length);
}

Result<Value> First(const Value& self, const Bound&, Context& context) {
  if (const Sequence* iterator = self.sequence(); iterator != nullptr &&
                                                  iterator->kind == SequenceKind::kIterator &&
                                                  iterator->taken < iterator->items.size()) {
    return iterator->items[iterator->taken++];
  }
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  return items.empty() ? Value::UndefinedBecause("there is no first item") : items.front();
}

Result<Value> Last(const Value& self, const Bound&, Context& context) {
  if (self.sequence() != nullptr && self.sequence()->kind == SequenceKind::kIterator)
    return Fail(ErrorCode::kInvalidArgument, "last: an iterator cannot be read backwards");
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  return items.empty() ? Value::UndefinedBecause("there is no last item") : items.back();
}

Result<Value> Join(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  FALLOW_ASSIGN_OR_RETURN(const Value separator,
                          ToText(arguments.Or(0, Value::OfTemplate("")), context.budget));
  const Value path = arguments.Or(1, None{});
  TextBuilder out;
  for (std::size_t i = 0; i < items.size() && !out.full(); ++i) {
    if (i > 0) out.Append(*separator.text());
    Value item = items[i];
    if (!path.IsNone()) {
      FALLOW_ASSIGN_OR_RETURN(item, GetPath(item, path, context.budget));
    }
    FALLOW_RETURN_IF_ERROR(AppendString(item, out, context.budget));
  }
  return MakeText(out.Take(), context.budget);
}

Result<Value> ToList(const Value& self, const Bound&, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(std::vector<Value> items, Elements(self, context.budget));
  return MakeSequence(std::move(items), SequenceKind::kList, context.budget);
}

Result<Value> Reverse(const Value& self, const Bound&, Context& context) {
  if (self.text() != nullptr) return GetSlice(self, {}, {}, -1, context.budget);
  const Sequence* sequence = self.sequence();
  const bool iterator = sequence != nullptr && sequence->kind == SequenceKind::kIterator;
  FALLOW_ASSIGN_OR_RETURN(std::vector<Value> items, Elements(self, context.budget));
  std::ranges::reverse(items);
  return MakeSequence(std::move(items), iterator ? SequenceKind::kList : SequenceKind::kIterator,
                      context.budget);
}

Result<std::vector<Keyed>> KeysOf(const Value& self, const Value& path, bool case_counts,
                                  Budget& budget) {
  FALLOW_ASSIGN_OR_RETURN(std::vector<Value> items, Elements(self, budget));
  std::vector<Keyed> keyed;
  for (Value& item : items) {
    Value key = item;
    if (!path.IsNone()) {
      FALLOW_ASSIGN_OR_RETURN(key, GetPath(item, path, budget));
    }
    if (!case_counts) {
      FALLOW_ASSIGN_OR_RETURN(key, FoldCase(key, budget));
    }
    keyed.push_back({std::move(key), std::move(item)});
  }
  return keyed;
}

std::vector<Value> ValuesOf(std::vector<Keyed> keyed) {
  std::vector<Value> values;
  for (Keyed& item : keyed) values.push_back(std::move(item.value));
  return values;
}

// What an item is sorted by: itself, or the members that `paths` names with commas between, as a
// list. Lists of undefined values have an order, where undefined values have none.
Result<Value> SortKey(const Value& item, const Value& paths, bool case_counts, Budget& budget) {
  const Text* text = paths.text();
  std::vector<Value> members;
  std::size_t begin = 0;
  do {
    const std::size_t end =
        text == nullptr ? 0 : std::min(text->bytes().find(',', begin), text->size());
    Value member = item;
    if (!paths.IsNone()) {
      const Value path = text == nullptr ? paths : Value::OfText(text->Slice(begin, end - begin));
      FALLOW_ASSIGN_OR_RETURN(member, GetPath(item, path, budget));
    }
    if (!case_counts) {
      FALLOW_ASSIGN_OR_RETURN(member, FoldCase(member, budget));
    }
    members.push_back(std::move(member));
    begin = end + 1;
  } while (text != nullptr && begin <= text->size());
  return MakeSequence(std::move(members), SequenceKind::kList, budget);
}

Result<Value> Sort(const Value& self, const Bound& arguments, Context& context) {
  const Order order = IsTrue(arguments.Or(0, false)) ? Order::kFalling : Order::kRising;
  const bool case_counts = IsTrue(arguments.Or(1, false));
  const Value paths = arguments.Or(2, None{});
  FALLOW_ASSIGN_OR_RETURN(std::vector<Value> items, Elements(self, context.budget));
  std::vector<Keyed> keyed;
  for (Value& item : items) {
    FALLOW_ASSIGN_OR_RETURN(Value key, SortKey(item, paths, case_counts, context.budget));
    keyed.push_back({std::move(key), std::move(item)});
  }
  FALLOW_ASSIGN_OR_RETURN(keyed, SortByKey(std::move(keyed), order, context.budget));
  return MakeSequence(ValuesOf(std::move(keyed)), SequenceKind::kList, context.budget);
}

Result<Value> DictSort(const Value& self, const Bound& arguments, Context& context) {
  const Mapping* mapping = self.mapping();
  if (mapping == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "dictsort: only a dictionary can be sorted so");
  const bool case_counts = IsTrue(arguments.Or(0, false));
  const Value by = arguments.Or(1, Value::OfTemplate("key"));
  FALLOW_ASSIGN_OR_RETURN(const Text* part, AsText(by, "by"));
  if (part->bytes() != "key" && part->bytes() != "value")
    return Fail(ErrorCode::kInvalidArgument, "dictsort: argument \"by\" must be key or value");
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : mapping->entries()) {
    Value sorted_by = part->bytes() == "key" ? key : value;
    if (!case_counts) {
      FALLOW_ASSIGN_OR_RETURN(sorted_by, FoldCase(sorted_by, context.budget));
    }
    FALLOW_ASSIGN_OR_RETURN(Value entry,
                            MakeSequence({key, value}, SequenceKind::kTuple, context.budget));
    keyed.push_back({std::move(sorted_by), std::move(entry)});
  }
  const Order order = IsTrue(arguments.Or(2, false)) ? Order::kFalling : Order::kRising;
  FALLOW_ASSIGN_OR_RETURN(keyed, SortByKey(std::move(keyed), order, context.budget));
  return MakeSequence(ValuesOf(std::move(keyed)), SequenceKind::kList, context.budget);
}

Result<Value> Unique(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(
      std::vector<Keyed> keyed,
      KeysOf(self, arguments.Or(1, None{}), IsTrue(arguments.Or(0, false)), context.budget));
  std::vector<Keyed> kept;
  std::set<std::string_view> seen_texts;  // of keys in `kept`, whose texts do not move
  for (Keyed& item : keyed) {
    bool seen = false;
    if (const Text* text = item.key.text()) {
      seen = !seen_texts.insert(text->bytes()).second;
    } else {
      for (std::size_t i = 0; i < kept.size() && !seen; ++i) {
        FALLOW_ASSIGN_OR_RETURN(seen, AreEqual(kept[i].key, item.key, context.budget));
      }
    }
    if (!seen) kept.push_back(std::move(item));
  }
  return MakeSequence(ValuesOf(std::move(kept)), SequenceKind::kIterator, context.budget);
}

// The smallest or largest; the first of equal ones.
template <Order order>
Result<Value> Extreme(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(
      std::vector<Keyed> keyed,
      KeysOf(self, arguments.Or(1, None{}), IsTrue(arguments.Or(0, false)), context.budget));
  FALLOW_ASSIGN_OR_RETURN(keyed, SortByKey(std::move(keyed), order, context.budget));
  return keyed.empty() ? Value::UndefinedBecause("there is no item") : keyed.front().value;
}

Result<Value> Sum(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  const Value path = arguments.Or(0, None{});
  Value sum = arguments.Or(1, std::int64_t{0});
  for (Value item : items) {
    if (!path.IsNone()) {
      FALLOW_ASSIGN_OR_RETURN(item, GetPath(item, path, context.budget));
    }
    FALLOW_ASSIGN_OR_RETURN(sum, Compute(Arithmetic::kAdd, sum, item, context.budget));
  }
  return sum;
}

Result<Value> Items(const Value& self, const Bound&, Context& context) {
  if (self.IsUndefined()) return MakeSequence({}, SequenceKind::kIterator, context.budget);
  if (self.mapping() == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "items: only a dictionary has items");
  std::vector<Value> entries;
  for (const auto& [key, value] : self.mapping()->entries()) {
    FALLOW_ASSIGN_OR_RETURN(Value entry,
                            MakeSequence({key, value}, SequenceKind::kTuple, context.budget));
    entries.push_back(std::move(entry));
  }
  return MakeSequence(std::move(entries), SequenceKind::kIterator, context.budget);
}

// Lists of `linecount` items; the last is filled up where there is something to fill it with.
Result<Value> Batch(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t size, AsInteger(*arguments.values[0], "linecount"));
  if (size < 1 || size > kMaxPaddingCharacters)
    return Fail(ErrorCode::kInvalidArgument, "batch: argument \"linecount\" must be 1 to 1024");
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  const Value filling = arguments.Or(1, None{});
  std::vector<Value> batches;
  for (std::size_t at = 0; at < items.size(); at += static_cast<std::size_t>(size)) {
    const std::size_t end = std::min(at + static_cast<std::size_t>(size), items.size());
    std::vector<Value> batch(items.begin() + static_cast<std::ptrdiff_t>(at),
                             items.begin() + static_cast<std::ptrdiff_t>(end));
    if (!filling.IsNone()) batch.resize(static_cast<std::size_t>(size), filling);
    FALLOW_ASSIGN_OR_RETURN(Value made,
                            MakeSequence(std::move(batch), SequenceKind::kList, context.budget));
    batches.push_back(std::move(made));
  }
  return MakeSequence(std::move(batches), SequenceKind::kIterator, context.budget);
}

Result<Value> Default(const Value& self, const Bound& arguments, Context&) {
  const bool replaced = self.IsUndefined() || (IsTrue(arguments.Or(1, false)) && !IsTrue(self));
  return replaced ? arguments.Or(0, Value::OfTemplate("")) : self;
}

}  // namespace

std::span<const Function> SequenceFilters() {
  static constexpr Function kRows[] = {
      {.name = "length", .run = CountElements},
      {.name = "count", .run = CountElements},
      {.name = "first", .run = First},
      {.name = "last", .run = Last},
      {.name = "join", .run = Join, .parameters = {"d", "attribute"}},
      {.name = "list", .run = ToList},
      {.name = "reverse", .run = Reverse},
      {.name = "sort", .run = Sort, .parameters = {"reverse", "case_sensitive", "attribute"}},
      {.name = "dictsort", .run = DictSort, .parameters = {"case_sensitive", "by", "reverse"}},
      {.name = "unique", .run = Unique, .parameters = {"case_sensitive", "attribute"}},
      {.name = "min",
       .run = Extreme<Order::kRising>,
       .parameters = {"case_sensitive", "attribute"}},
      {.name = "max",
       .run = Extreme<Order::kFalling>,
       .parameters = {"case_sensitive", "attribute"}},
      {.name = "sum", .run = Sum, .parameters = {"attribute", "start"}},
      {.name = "items", .run = Items},
      {.name = "batch",
       .run = Batch,
       .parameters = {"linecount", "fill_with"},
       .required_count = 1},
      {.name = "default", .run = Default, .parameters = {"default_value", "boolean"}},
      {.name = "d", .run = Default, .parameters = {"default_value", "boolean"}},
  };
  return kRows;
}

}  // namespace fallow::engine::jinja
