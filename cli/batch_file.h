// Gives every line of a batch file one model, before it is uploaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow::cli {

// `line` with body.model = `model`; none if it has that already, or is nothing that could have a
// model: what is wrong with such a line, the coordinator says, by number.
std::optional<std::string> LineWithModel(std::string_view line, std::string_view model);

// Copies `source` to `destination` line by line, each with `model`. Returns how many lines it
// changed.
Result<std::uint64_t> CopyWithModel(const std::string& source, const std::string& destination,
                                    std::string_view model);

}  // namespace fallow::cli
