// Tells a hand's input from noise among the events of one device.
#pragma once

#include <linux/input.h>

#include <cstdint>
#include <map>

#include "platform/linux/input_device.h"

namespace fallow {

class InputActivity {
 public:
  explicit InputActivity(const InputDevice& device);

  // Keys, movements and touches are. Of a gamepad's axes, those that moved away from where they
  // rested by more than their dead zone: worn sticks tremble. Lost events are, for they may have
  // been; what accompanies events or goes to the device (lamps, rumble) is not.
  bool IsInput(const input_event& event);

 private:
  struct Axis {
    std::int64_t rest = 0;
    std::int64_t dead_zone = 0;
  };

  bool Moved(const input_event& event);

  bool is_gamepad_;
  std::map<std::uint16_t, Axis> axes_;
};

}  // namespace fallow
