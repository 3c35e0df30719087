// Words that are nearly one another, to ask "did you mean".
//
// Pure functions.
#pragma once

#include <cstddef>
#include <string_view>

namespace fallow {

// How many letters must change, be added or dropped to get from one to the other.
std::size_t EditDistance(std::string_view a, std::string_view b);

// The distance from which on another word has nothing to do with `word`; 0 for one that is too long
// to be a slip of the finger.
std::size_t TooFar(std::string_view word);

}  // namespace fallow
