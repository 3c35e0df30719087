// How the worker is started: what the owner's settings and the policy's decision make of it.
//
// Pure functions.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agent/daemon/policy/settings.h"

namespace fallow {

// What follows the program's path. `only_gpus`: PCI addresses, the first of which that can be used
// is; empty: what the settings say.
std::vector<std::string> WorkerArguments(const std::string& log_level, const Settings& settings,
                                         std::span<const std::string> only_gpus);

// For whom the worker is started anew: the settings that differ and that it is told, by name; empty
// if there are none.
std::string WorkerChangeText(const Settings& before, const Settings& now);

}  // namespace fallow
