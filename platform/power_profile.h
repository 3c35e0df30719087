// Whether the owner chose to save power on the desktop.
//
// Threading: the loop's thread.
#pragma once

#include <memory>
#include <optional>

#include "platform/loop.h"

namespace fallow {

class PowerProfileSensor {
 public:
  virtual ~PowerProfileSensor() = default;
  // Whether the profile "power-saver" is active; none: nothing tells. Waits for a service for 200
  // ms at most, and only after it may have changed.
  virtual std::optional<bool> PowerSaver() = 0;
};

// power-profiles-daemon's (or its like's) active profile on the system bus. `loop` is a MainLoop
// that outlives the sensor.
std::unique_ptr<PowerProfileSensor> NewPowerProfileSensor(Loop& loop);

}  // namespace fallow
