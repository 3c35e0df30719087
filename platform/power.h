// Where the machine's power comes from.
//
// Threading: one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "platform/sensor_folders.h"

namespace fallow {

struct PowerReading {
  // None: the machine has no battery of its own, or nothing tells. A mouse's battery or a UPS is
  // not the machine's.
  std::optional<bool> on_battery;
  std::optional<int> charge_percent;
  std::optional<bool> power_saver;  // the owner chose to save power
  std::string detail;               // what told, or why nothing could: "BAT0 discharging"

  bool operator==(const PowerReading&) const = default;
};

class PowerSensor {
 public:
  virtual ~PowerSensor() = default;
  virtual PowerReading Read() = 0;
};

// /sys/class/power_supply, and the power profile by ACPI (/sys/firmware/acpi/platform_profile) or
// power-profiles-daemon.
std::unique_ptr<PowerSensor> NewPowerSensor(SensorFolders folders = {});

}  // namespace fallow
