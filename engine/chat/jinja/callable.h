// What a template calls: filters, tests, methods, functions and its own macros.
//
// Filters, tests, methods and functions are rows of tables (functions.h); a row names its
// parameters, and binding a call to them is done in one place.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/chat/jinja/value.h"

namespace fallow::engine::jinja {

struct Scope;
struct Statement;

// The day and time that strftime_now tells; the caller has checked it.
struct CivilTime {
  int year = 0;
  int month = 0;  // 1 to 12
  int day = 0;    // 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
};

// What functions may use and change of the rendering that calls them.
struct Context {
  Budget budget;
  CivilTime now;
  std::deque<Namespace> namespaces;
};

// What a call passes, in the template's order.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

inline constexpr std::size_t kMaxParameters = 4;

// A call's arguments bound to a row's parameters.
struct Bound {
  std::optional<Value> values[kMaxParameters];
  Arguments rest;  // of a row that takes any more

  // The argument, or `otherwise` if it was not passed.
  Value Or(std::size_t parameter, Value otherwise) const {
    return values[parameter].value_or(std::move(otherwise));
  }
};

struct Function {
  std::string_view name;
  // `self` is what a filter or test is applied to or a method called on.
  Result<Value> (*run)(const Value& self, const Bound& arguments, Context& context);
  std::string_view parameters[kMaxParameters] = {};  // the first empty name ends them
  std::size_t required_count = 0;
  bool takes_more = false;  // arguments beyond the parameters go to `rest`
};

// Binds and runs. Errors name the function.
Result<Value> Call(const Function& function, const Value& self, Arguments arguments,
                   Context& context);

// A function or method as a value, or a macro.
struct Callable {
  const Function* function = nullptr;
  Value self;  // of a method

  const Statement* macro = nullptr;  // or a call block, whose body is its caller()
  // Where the macro was written. Weak, because the scope holds the macro: a macro that a template
  // keeps beyond the loop or macro it was written in cannot be called.
  std::weak_ptr<Scope> scope;
};

}  // namespace fallow::engine::jinja
