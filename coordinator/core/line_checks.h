// What the readers of a batch line share: JSON values taken as what they should be, and errors that
// name the field. Private to the readers of batch_line.h.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/core/records.h"

namespace fallow {

// What a check of one value says: nothing, or what is wrong.
using Problem = std::optional<JobError>;

JobError Invalid(std::string_view param, std::string message);
JobError Missing(std::string_view param);
JobError Unsupported(std::string_view param, std::string_view reason);

// A foreign text in a message: short, and cut between characters.
std::string Quoted(std::string_view text);

// None if the value is something else.
std::optional<std::string_view> AsString(simdjson::dom::element value);
std::optional<std::int64_t> AsInteger(simdjson::dom::element value);  // 32.0 is 32
std::optional<double> AsNumber(simdjson::dom::element value);

}  // namespace fallow
