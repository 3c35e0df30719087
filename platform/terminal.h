// The terminals behind a program's standard output and standard error, if there are any.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <optional>

namespace fallow {

enum class StandardStream { kOutput, kError };

// Columns of the terminal behind `stream`; none if it is a file or a pipe. A terminal that does not
// say has 80.
std::optional<std::size_t> TerminalColumns(StandardStream stream);

}  // namespace fallow
