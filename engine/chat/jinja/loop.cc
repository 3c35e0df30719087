#include "engine/chat/jinja/loop.h"

namespace fallow::engine::jinja {

std::optional<Value> Loop::Member(std::string_view name) const {
  const auto number = [](std::size_t count) { return Value(static_cast<std::int64_t>(count)); };
  if (name == "index") return number(at + 1);
  if (name == "index0") return number(at);
  if (name == "first") return Value(at == 0);
  if (name == "last") return Value(at + 1 >= items.size());
  if (name == "length") return number(items.size());
  if (name == "revindex") return number(items.size() - at);
  if (name == "revindex0") return number(items.size() - at - 1);
  if (name == "depth") return number(depth + 1);
  if (name == "depth0") return number(depth);
  if (name == "previtem") {
    return at > 0 ? items[at - 1] : Value::UndefinedBecause("there is no previous item");
  }
  if (name == "nextitem") {
    return at + 1 < items.size() ? items[at + 1] : Value::UndefinedBecause("there is no next item");
  }
  return std::nullopt;
}

}  // namespace fallow::engine::jinja
