#include "engine/chat/jinja/sort_values.h"

#include <charconv>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/operators.h"
#include "engine/chat/jinja/text_operations.h"

namespace fallow::engine::jinja {
namespace {

// Moves the sorted runs [begin, middle) and [middle, end) of `from` into one run of `to`.
Status MergeRuns(std::vector<Keyed>& from, std::size_t begin, std::size_t middle, std::size_t end,
                 Order order, std::vector<Keyed>& to, Budget& budget) {
  std::size_t left = begin;
  std::size_t right = middle;
  for (std::size_t out = begin; out < end; ++out) {
    bool take_right = left == middle;
    if (left < middle && right < end) {
      const Value& a = order == Order::kRising ? from[right].key : from[left].key;
      const Value& b = order == Order::kRising ? from[left].key : from[right].key;
      FALLOW_ASSIGN_OR_RETURN(take_right, IsLess(a, b, budget));
    }
    to[out] = std::move(take_right ? from[right++] : from[left++]);
  }
  return {};
}

}  // namespace

Result<std::vector<Keyed>> SortByKey(std::vector<Keyed> items, Order order, Budget& budget) {
  std::vector<Keyed> other(items.size());
  FALLOW_RETURN_IF_ERROR(budget.SpendBytes(items.size() * sizeof(Keyed) * 2));
  for (std::size_t run = 1; run < items.size(); run *= 2) {
    for (std::size_t begin = 0; begin < items.size(); begin += 2 * run) {
      const std::size_t middle = std::min(begin + run, items.size());
      const std::size_t end = std::min(begin + 2 * run, items.size());
      FALLOW_RETURN_IF_ERROR(MergeRuns(items, begin, middle, end, order, other, budget));
    }
    std::swap(items, other);
  }
  return items;
}

Result<Value> FoldCase(const Value& value, Budget& budget) {
  if (value.text() == nullptr) return value;
  return ChangeTextCase(*value.text(), Case::kLower, budget);
}

Result<Value> GetPath(const Value& item, const Value& path, Budget& budget) {
  if (path.integer()) return GetItem(item, path, budget);
  FALLOW_ASSIGN_OR_RETURN(const Text* text, AsText(path, "attribute"));
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text->size()));
  Value found = item;
  std::string_view rest = text->bytes();
  while (true) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    std::int64_t number = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), number);
    const bool numbered = read.ec == std::errc() && read.ptr == part.data() + part.size();
    FALLOW_ASSIGN_OR_RETURN(
        found,
        GetItem(found, numbered ? Value(number) : Value::OfTemplate(std::string(part)), budget));
    if (dot == rest.size()) return found;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace fallow::engine::jinja
