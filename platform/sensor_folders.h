// Where sensors are read; tests put a machine of their own there.
#pragma once

#include <string>

namespace fallow {

struct SensorFolders {
  std::string sys = "/sys";
  std::string proc = "/proc";
  std::string nvidia_library = "libnvidia-ml.so.1";  // as dlopen finds it; empty: none
};

}  // namespace fallow
