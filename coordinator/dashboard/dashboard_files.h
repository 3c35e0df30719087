// The dashboard's built files, embedded in the program. Empty in a build without npm.
#pragma once

#include <span>

#include "coordinator/api/api.h"

namespace fallow {

std::span<const api::StaticFile> DashboardFiles();

}  // namespace fallow
