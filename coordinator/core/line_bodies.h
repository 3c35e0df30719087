// Readers of one field of a line's body, for each endpoint. Private to batch_line.cc, which has
// seen to `model` and to fields that are there twice.
#pragma once

#include <string_view>

#include "coordinator/core/batch_line.h"
#include "coordinator/core/line_checks.h"

namespace fallow {

Problem ReadChatField(std::string_view key, simdjson::dom::element value, BatchLine& line);
Problem ReadEmbeddingsField(std::string_view key, simdjson::dom::element value, BatchLine& line);

}  // namespace fallow
