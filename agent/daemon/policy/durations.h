// Lengths of time in words: as owners write them, and as they are shown.
//
// Pure functions.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow {

// No setting and no command takes more.
inline constexpr std::chrono::milliseconds kMaxDuration = std::chrono::hours(24 * 365);

// "45s", "3m", "1h30m", "500ms", "2d", also "3 min", "1 h 30 min" or "2 hours": whole numbers with
// ms, s, m, h or d or these as words, the larger unit first, each once. kInvalidArgument names what
// was found and what may be.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// "45 s", "4 min", "2 h": one unit, rounded down.
std::string ShortDuration(std::chrono::milliseconds duration);

// "45 s", "4 min", "2 h", "2 h 5 min", "6 d 5 h": what is left of a wait, which is never less:
// rounded up.
std::string TimeLeft(std::chrono::milliseconds duration);

// "1h30m", "45s", "0s": what ParseDuration gives back exactly.
std::string ExactDuration(std::chrono::milliseconds duration);

}  // namespace fallow
