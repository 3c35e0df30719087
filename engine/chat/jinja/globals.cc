// Functions that a template calls by name alone.
#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "engine/chat/jinja/calendar.h"
#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/write_value.h"

namespace fallow::engine::jinja {
namespace {

Result<Value> Range(const Value&, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t first, AsInteger(*arguments.values[0], "start"));
  FALLOW_ASSIGN_OR_RETURN(const auto second, AsOptionalInteger(arguments.values[1], "stop"));
  FALLOW_ASSIGN_OR_RETURN(const auto third, AsOptionalInteger(arguments.values[2], "step"));
  const std::int64_t step = third.value_or(1);
  if (step == 0) return Fail(ErrorCode::kInvalidArgument, "range: the step is zero");
  const std::int64_t start = second ? first : 0;
  const std::int64_t stop = second ? *second : first;
  std::vector<Value> items;
  std::int64_t at = start;
  while (step > 0 ? at < stop : at > stop) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRangeElements) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("range: more than {} elements", kMaxRangeElements));
    }
    FALLOW_RETURN_IF_ERROR(context.budget.SpendSteps(1));
    items.emplace_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return MakeSequence(std::move(items), SequenceKind::kRange, context.budget);
}

Result<Mapping> MappingOf(const Bound& arguments, Context& context) {
  Mapping mapping;
  if (arguments.rest.positional.size() > 1)
    return Fail(ErrorCode::kInvalidArgument, "more than one dictionary is given");
  for (const Value& given : arguments.rest.positional) {
    if (given.mapping() == nullptr)
      return Fail(ErrorCode::kUnimplemented, "only a dictionary or named values can be copied");
    FALLOW_RETURN_IF_ERROR(context.budget.SpendSteps(given.mapping()->size()));
    for (const auto& [key, value] : given.mapping()->entries()) mapping.Set(key, value);
  }
  for (const auto& [name, value] : arguments.rest.named)
    mapping.Set(Value::OfTemplate(name), value);
  return mapping;
}

Result<Value> Dictionary(const Value&, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(Mapping mapping, MappingOf(arguments, context));
  return MakeMapping(std::move(mapping), context.budget);
}

Result<Value> NewNamespace(const Value&, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Mapping mapping, MappingOf(arguments, context));
  constexpr std::size_t kMemberBytes = 128;
  FALLOW_RETURN_IF_ERROR(
      context.budget.SpendBytes(sizeof(Namespace) + mapping.size() * kMemberBytes));
  Namespace& made = context.namespaces.emplace_back();
  for (const auto& [key, value] : mapping.entries()) made.members[key.text()->bytes()] = value;
  return Value(&made);
}

Result<Value> RaiseException(const Value&, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Value message, ToText(*arguments.values[0], context.budget));
  return Fail(ErrorCode::kInvalidArgument,
              "refused by the template: " + ToValidUtf8(message.text()->bytes(), kMaxRefusalBytes));
}

Result<Value> StrftimeNow(const Value&, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* format, AsText(*arguments.values[0], "format"));
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(format->size()));
  FALLOW_ASSIGN_OR_RETURN(Text written, FormatTime(*format, context.now));
  return MakeText(std::move(written), context.budget);
}

constexpr Function kGlobals[] = {
    {.name = "range", .run = Range, .parameters = {"start", "stop", "step"}, .required_count = 1},
    {.name = "dict", .run = Dictionary, .takes_more = true},
    {.name = "namespace", .run = NewNamespace, .takes_more = true},
    {.name = "raise_exception",
     .run = RaiseException,
     .parameters = {"message"},
     .required_count = 1},
    {.name = "strftime_now", .run = StrftimeNow, .parameters = {"format"}, .required_count = 1},
};

}  // namespace

const Function* FindGlobal(std::string_view name) {
  const auto found = std::ranges::find(kGlobals, name, &Function::name);
  return found == std::end(kGlobals) ? nullptr : &*found;
}

}  // namespace fallow::engine::jinja
