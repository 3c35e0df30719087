// A Loop is what a for statement's body sees as `loop`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/chat/jinja/value.h"

namespace fallow::engine::jinja {

struct Scope;
struct Statement;

class Loop {
 public:
  // Elements that the statement's filter has let through, in order.
  std::vector<Value> items;
  // Those it has not seen yet, from `next_waiting`: it may depend on what the body does.
  std::vector<Value> waiting;
  std::size_t next_waiting = 0;
  std::size_t at = 0;       // of the element in turn
  std::uint32_t depth = 0;  // of loops of one recursive statement inside one another, from 0
  const Statement* statement = nullptr;
  std::weak_ptr<Scope> outer;  // where the statement stands

  // index, first, last, …; none if it has no such member. What depends on later elements is only
  // right once they are in `items`.
  std::optional<Value> Member(std::string_view name) const;
};

}  // namespace fallow::engine::jinja
