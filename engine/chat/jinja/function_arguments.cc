#include "engine/chat/jinja/function_arguments.h"

#include <fmt/format.h>

#include <algorithm>

namespace fallow::engine::jinja {
namespace {

std::unexpected<Error> Wrong(const Value& value, std::string_view argument,
                             std::string_view wanted) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("argument \"{}\" must be {}, not {}", argument, wanted, TypeName(value)));
}

}  // namespace

Result<const Text*> AsText(const Value& value, std::string_view argument) {
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  if (value.text() == nullptr) return Wrong(value, argument, "a text");
  return value.text();
}

Result<std::int64_t> AsInteger(const Value& value, std::string_view argument) {
  FALLOW_RETURN_IF_ERROR(RequireDefined(value));
  const auto integer = value.integer();
  if (!integer) return Wrong(value, argument, "an integer");
  return *integer;
}

Result<std::optional<std::int64_t>> AsOptionalInteger(const std::optional<Value>& value,
                                                      std::string_view argument) {
  if (!value.has_value() || value->IsNone()) return std::nullopt;
  return AsInteger(*value, argument);
}

Result<std::size_t> AsPadding(const Value& value, std::string_view argument) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t count, AsInteger(value, argument));
  if (count > kMaxPaddingCharacters) {
    return Fail(ErrorCode::kResourceExhausted, fmt::format("argument \"{}\" is {}; {} is allowed",
                                                           argument, count, kMaxPaddingCharacters));
  }
  return static_cast<std::size_t>(std::max<std::int64_t>(0, count));
}

}  // namespace fallow::engine::jinja
