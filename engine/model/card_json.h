// A model's card as JSON: as the coordinator keeps it and `fallow --json` prints it
// (docs/PROTOCOL.md, MODEL).
#pragma once

#include <string>
#include <string_view>

#include "engine/model/model.h"

namespace fallow::engine {

// One object. Beside the card's fields it has "memory": what some numbers of sequences take, short
// ones and ones of the whole context, so that whoever shows it need not know how to reckon.
std::string CardJson(const ModelCard& card);

std::string_view PoolingName(Pooling pooling);  // "none", "mean", "cls", "last"

}  // namespace fallow::engine
