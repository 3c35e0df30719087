// The tables of everything that templates may call by name. A name that is in none of them is
// refused when the template is parsed.
#pragma once

#include <string_view>

#include "engine/chat/jinja/callable.h"

namespace fallow::engine::jinja {

// Each is null if there is none of that name. Rows live for the whole program.
const Function* FindFilter(std::string_view name);
const Function* FindTest(std::string_view name);
// range, namespace, raise_exception, …
const Function* FindGlobal(std::string_view name);
// Of the value's type.
const Function* FindMethod(const Value& value, std::string_view name);
// Whether any type has a method of that name.
bool IsMethodName(std::string_view name);

// The rows of each file.
std::span<const Function> TextFilters();
std::span<const Function> NumberFilters();
std::span<const Function> SequenceFilters();
std::span<const Function> SelectionFilters();
std::span<const Function> TextMethods();

}  // namespace fallow::engine::jinja
