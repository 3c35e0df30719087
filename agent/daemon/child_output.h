// Runs one of our own programs to its end and takes what it printed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace fallow {

inline constexpr std::size_t kMaxChildOutputBytes = 1 << 20;

// Blocks, at most `patience`; then the program is killed. kNotFound: there is no such program;
// kDeadlineExceeded; kUnavailable: it failed, with its last words; kResourceExhausted: it printed
// more than kMaxChildOutputBytes. `other_success`: an exit code, besides 0, that is no failure.
Result<std::string> ChildOutput(std::vector<std::string> command,
                                std::chrono::milliseconds patience, int other_success = 0);

}  // namespace fallow
