// The parts of an entry of the explain log as JSON, and back.
//
// The readers throw nlohmann's exceptions on anything the writers do not write. Pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "agent/daemon/policy/policy.h"

namespace fallow {

using Json = nlohmann::ordered_json;

Json MomentJson(const Moment& moment);
Moment MomentOf(const Json& json);
Json DecisionJson(const Decision& decision);
Decision DecisionOf(const Json& json);
Json SignalsJson(const Signals& signals);
Signals SignalsOf(const Json& json);
Json MemoryJson(const PolicyMemory& memory);
PolicyMemory MemoryOf(const Json& json);

}  // namespace fallow
