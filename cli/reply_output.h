// What several commands do with a coordinator's reply.
#pragma once

#include <string>

#include "cli/commands.h"

namespace fallow::cli {

// Prints `reply` if JSON was asked for.
bool PrintedAsJson(Session& session, const Json& reply);

// Deletes what is at `path` and says that `what` is gone.
Result<ExitStatus> Remove(Session& session, const std::string& path, const std::string& what);

}  // namespace fallow::cli
