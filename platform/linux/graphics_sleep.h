// Whether a device sleeps by runtime power management, as a laptop's second graphics card does most
// of the time. Asking it anything, its temperature even, would wake it, or keep it from falling
// asleep.
#pragma once

#include <string>

#include "platform/linux/kernel_files.h"

namespace fallow {

// `device`: its folder in sysfs.
inline bool DeviceSleeps(const std::string& device) {
  const auto status = ReadKernelText(device + "/power/runtime_status", 64);
  return status && (*status == "suspended" || *status == "suspending");
}

// It may fall asleep when nobody uses it.
inline bool DeviceMaySleep(const std::string& device) {
  return ReadKernelText(device + "/power/control", 64) == "auto";
}

}  // namespace fallow
