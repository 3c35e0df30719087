#include "engine/chat/jinja/callable.h"

#include <fmt/format.h>

#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

std::span<const std::string_view> ParametersOf(const Function& function) {
  std::size_t count = 0;
  while (count < kMaxParameters && !function.parameters[count].empty()) ++count;
  return std::span(function.parameters).first(count);
}

std::unexpected<Error> Misuse(const Function& function, std::string complaint) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", function.name, complaint));
}

Status BindNamed(const Function& function, std::string name, Value value, Bound& bound) {
  const auto parameters = ParametersOf(function);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i] != name) continue;
    if (bound.values[i].has_value())
      return Misuse(function, fmt::format("argument \"{}\" is given twice", Shown(name)));
    bound.values[i] = std::move(value);
    return {};
  }
  if (!function.takes_more)
    return Misuse(function, fmt::format("no argument \"{}\" is known", Shown(name)));
  bound.rest.named.emplace_back(std::move(name), std::move(value));
  return {};
}

Result<Bound> Bind(const Function& function, Arguments arguments) {
  const auto parameters = ParametersOf(function);
  Bound bound;
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < parameters.size()) {
      bound.values[i] = std::move(arguments.positional[i]);
    } else if (function.takes_more) {
      bound.rest.positional.push_back(std::move(arguments.positional[i]));
    } else {
      return Misuse(function, fmt::format("{} arguments; {} are allowed",
                                          arguments.positional.size(), parameters.size()));
    }
  }
  for (auto& [name, value] : arguments.named)
    FALLOW_RETURN_IF_ERROR(BindNamed(function, std::move(name), std::move(value), bound));
  for (std::size_t i = 0; i < function.required_count; ++i) {
    if (!bound.values[i].has_value())
      return Misuse(function, fmt::format("argument \"{}\" is missing", parameters[i]));
  }
  return bound;
}

}  // namespace

Result<Value> Call(const Function& function, const Value& self, Arguments arguments,
                   Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Bound bound, Bind(function, std::move(arguments)));
  return function.run(self, bound, context);
}

}  // namespace fallow::engine::jinja
