// What an input device of the kernel (/dev/input/event*) is. For files of platform/linux alone.
//
// Pure but for ProbeInputDevice, which asks the kernel; tests put another probe in its place.
#pragma once

#include <linux/input.h>

#include <bitset>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"

namespace fallow {

struct InputAxis {
  std::uint16_t code = 0;  // ABS_X and so on
  input_absinfo range;     // with the value it had when asked
};

struct InputDevice {
  std::bitset<INPUT_PROP_CNT> properties;
  std::bitset<KEY_CNT> keys;
  std::bitset<REL_CNT> relative;
  std::vector<InputAxis> axes;
  // Events carry the time of CLOCK_MONOTONIC at which they arose; else their time is of no use.
  bool has_monotonic_times = false;
};

enum class InputDeviceKind : std::uint8_t {
  kOther,  // no hand is on it: accelerometers, lid switches, power buttons, jacks, speakers
  kKeyboard,
  kPointer,  // mice, touchpads, pens
  kTouchScreen,
  kGamepad,
};

InputDeviceKind KindOf(const InputDevice& device);

// Of an open descriptor. kUnavailable if the device went away, kInvalidArgument if it is none.
using InputProbe = std::function<Result<InputDevice>(int descriptor)>;
Result<InputDevice> ProbeInputDevice(int descriptor);

}  // namespace fallow
