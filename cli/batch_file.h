// What is read of a batch file, or changed in it, before it is uploaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow::cli {

// The endpoint that the batch is for: the url of its first line that is not blank. Chat, if that
// line says none: what is wrong with it, the coordinator says, by number. kNotFound: no such file.
Result<std::string> EndpointOf(const std::string& batch_file);

// `line` with body.model = `model`; none if it has that already, or is nothing that could have a
// model: what is wrong with such a line, the coordinator says, by number.
std::optional<std::string> LineWithModel(std::string_view line, std::string_view model);

// Copies `source` to `destination` line by line, each with `model`. Returns how many lines it
// changed.
Result<std::uint64_t> CopyWithModel(const std::string& source, const std::string& destination,
                                    std::string_view model);

}  // namespace fallow::cli
