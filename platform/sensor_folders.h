// Where sensors are read; tests put a machine of their own there.
#pragma once

#include <string>

namespace fallow {

struct SensorFolders {
  std::string sys = "/sys";
  std::string proc = "/proc";
};

}  // namespace fallow
