// Whether the network is paid by volume.
#pragma once

#include <memory>
#include <optional>

#include "platform/loop.h"

namespace fallow {

class NetworkCostSensor {
 public:
  virtual ~NetworkCostSensor() = default;
  virtual std::optional<bool> Metered() = 0;  // none: nothing tells
};

// NetworkManager's Metered on the system bus. `loop` is a MainLoop that outlives the sensor.
std::unique_ptr<NetworkCostSensor> NewNetworkCostSensor(Loop& loop);

}  // namespace fallow
