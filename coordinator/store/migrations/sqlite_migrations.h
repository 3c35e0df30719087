// The steps of the SQLite schema. Step N takes a store from version N to N + 1; a step that has
// been released never changes.
#pragma once

#include <span>

namespace fallow {

std::span<const char* const> SqliteMigrations();

}  // namespace fallow
