// A text made fit for one line of a log or a terminal.
#pragma once

#include <string>
#include <string_view>

namespace fallow {

// `text` with '?' for every control character: what comes from others can neither begin a line of
// its own nor steer a terminal. Other bytes stay.
std::string OneLine(std::string_view text);

}  // namespace fallow
