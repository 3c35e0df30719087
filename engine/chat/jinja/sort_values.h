// Sorting by keys whose comparison can fail.
#pragma once

#include <utility>
#include <vector>

#include "engine/chat/jinja/value.h"

namespace fallow::engine::jinja {

struct Keyed {
  Value key;
  Value value;
};

enum class Order : std::uint8_t { kRising, kFalling };
// Stable, in either order. An error if two keys have no order.
Result<std::vector<Keyed>> SortByKey(std::vector<Keyed> items, Order order, Budget& budget);

// What texts are compared by where case does not count; other values are their own key.
Result<Value> FoldCase(const Value& value, Budget& budget);

// item.a.b.0 for the path "a.b.0", or item[path] where the path is a number.
Result<Value> GetPath(const Value& item, const Value& path, Budget& budget);

}  // namespace fallow::engine::jinja
