// map, select and their like, which apply other filters and tests to each item.
#include <fmt/format.h>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/sort_values.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

using Finder = const Function* (*)(std::string_view);

Result<const Function*> FindByArgument(const Value& name, Finder find, std::string_view kind) {
  FALLOW_ASSIGN_OR_RETURN(const Text* text, AsText(name, kind));
  const Function* found = find(text->bytes());
  if (found == nullptr) {
    return Fail(ErrorCode::kUnimplemented,
                fmt::format("{} \"{}\" is not known", kind, Shown(text->bytes())));
  }
  return found;
}

// The arguments after the first.
Arguments WithoutFirst(const Arguments& arguments) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  return rest;
}

Result<std::vector<Value>> MapToMembers(const std::vector<Value>& items, const Arguments& arguments,
                                        Budget& budget) {
  Value path;
  std::optional<Value> otherwise;
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") {
      path = value;
    } else if (name == "default") {
      otherwise = value;
    } else {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("map: no argument \"{}\" is known", Shown(name)));
    }
  }
  if (path.IsUndefined())
    return Fail(ErrorCode::kInvalidArgument, "map: neither a filter nor an attribute is given");
  std::vector<Value> members;
  for (const Value& item : items) {
    FALLOW_ASSIGN_OR_RETURN(Value member, GetPath(item, path, budget));
    members.push_back(member.IsUndefined() && otherwise ? *otherwise : std::move(member));
  }
  return members;
}

Result<Value> Map(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  std::vector<Value> mapped;
  if (arguments.rest.positional.empty()) {
    FALLOW_ASSIGN_OR_RETURN(mapped, MapToMembers(items, arguments.rest, context.budget));
  } else {
    FALLOW_ASSIGN_OR_RETURN(const Function* filter,
                            FindByArgument(arguments.rest.positional[0], FindFilter, "filter"));
    if (filter->run == Map)
      return Fail(ErrorCode::kUnimplemented, "map: maps inside one another are not supported");
    const Arguments rest = WithoutFirst(arguments.rest);
    for (const Value& item : items) {
      FALLOW_RETURN_IF_ERROR(context.budget.SpendSteps(1));
      FALLOW_ASSIGN_OR_RETURN(Value made, Call(*filter, item, rest, context));
      mapped.push_back(std::move(made));
    }
  }
  return MakeSequence(std::move(mapped), SequenceKind::kIterator, context.budget);
}

enum class Keep : std::uint8_t { kPassing, kFailing };
enum class Tested : std::uint8_t { kItem, kMember };

// select, reject, selectattr and rejectattr: without a test, truth decides.
template <Keep keep, Tested tested>
Result<Value> Select(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items, Elements(self, context.budget));
  Arguments rest = arguments.rest;
  Value path;
  if (tested == Tested::kMember) {
    if (rest.positional.empty())
      return Fail(ErrorCode::kInvalidArgument, "the attribute to select by is missing");
    path = rest.positional[0];
    rest = WithoutFirst(rest);
  }
  const Function* test = nullptr;
  if (!rest.positional.empty()) {
    FALLOW_ASSIGN_OR_RETURN(test, FindByArgument(rest.positional[0], FindTest, "test"));
    rest = WithoutFirst(rest);
  }
  std::vector<Value> selected;
  for (const Value& item : items) {
    FALLOW_RETURN_IF_ERROR(context.budget.SpendSteps(1));
    Value subject = item;
    if (tested == Tested::kMember) {
      FALLOW_ASSIGN_OR_RETURN(subject, GetPath(item, path, context.budget));
    }
    if (test != nullptr) {
      FALLOW_ASSIGN_OR_RETURN(subject, Call(*test, subject, rest, context));
    }
    if (IsTrue(subject) == (keep == Keep::kPassing)) selected.push_back(item);
  }
  return MakeSequence(std::move(selected), SequenceKind::kIterator, context.budget);
}

}  // namespace

std::span<const Function> SelectionFilters() {
  static constexpr Function kRows[] = {
      {.name = "map", .run = Map, .takes_more = true},
      {.name = "select", .run = Select<Keep::kPassing, Tested::kItem>, .takes_more = true},
      {.name = "reject", .run = Select<Keep::kFailing, Tested::kItem>, .takes_more = true},
      {.name = "selectattr", .run = Select<Keep::kPassing, Tested::kMember>, .takes_more = true},
      {.name = "rejectattr", .run = Select<Keep::kFailing, Tested::kMember>, .takes_more = true},
  };
  return kRows;
}

}  // namespace fallow::engine::jinja
