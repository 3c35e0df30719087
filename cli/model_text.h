// A model's card in words for people.
#pragma once

#include <string>

#include "cli/records.h"

namespace fallow::cli {

// A line a fact and, where it is known, the table of the memory it takes. What the record does not
// say is left out. Ends in a newline.
std::string ModelFacts(const ModelRecord& model);

}  // namespace fallow::cli
