#include "platform/linux/input_device.h"

#include <sys/ioctl.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include "platform/os.h"

namespace fallow {
namespace {

template <std::size_t kCount>
bool HasAny(const std::bitset<kCount>& bits, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i <= last; ++i) {
    if (bits[i]) return true;
  }
  return false;
}

bool HasAxis(const InputDevice& device, std::uint16_t code) {
  return std::ranges::any_of(device.axes, [&](const InputAxis& axis) { return axis.code == code; });
}

// Some keyboards and mice claim to have a gamepad's buttons.
bool HasGamepadButtons(const InputDevice& device) {
  return HasAny(device.keys, BTN_JOYSTICK, BTN_DIGI - 1);
}

bool TypesText(const InputDevice& device) {
  return device.keys[KEY_A] && device.keys[KEY_Z] && device.keys[KEY_ENTER];
}

// Keys that a person presses at the machine. Power, sleep, brightness, radio and lid keys are not
// among them: firmware sends those by itself.
bool HasHandKeys(const InputDevice& device) {
  return HasAny(device.keys, KEY_ESC, KEY_KPDOT) || HasAny(device.keys, KEY_HOME, KEY_DELETE) ||
         HasAny(device.keys, KEY_MUTE, KEY_VOLUMEUP) ||
         HasAny(device.keys, KEY_NEXTSONG, KEY_STOPCD) || device.keys[KEY_OK] ||
         HasAny(device.keys, KEY_NUMERIC_0, KEY_NUMERIC_POUND);
}

// The bits that the kernel gives for one of the EVIOCG… requests.
template <std::size_t kCount>
std::bitset<kCount> ToBits(const std::array<std::uint8_t, (kCount + 7) / 8>& bytes) {
  std::bitset<kCount> bits;
  for (std::size_t i = 0; i < kCount; ++i) bits[i] = (bytes[i / 8] >> (i % 8) & 1) != 0;
  return bits;
}

template <std::size_t kCount>
std::bitset<kCount> ReadBits(int descriptor, unsigned type) {
  std::array<std::uint8_t, (kCount + 7) / 8> bytes{};
  if (::ioctl(descriptor, EVIOCGBIT(type, bytes.size()), bytes.data()) < 0) return {};
  return ToBits<kCount>(bytes);
}

}  // namespace

InputDeviceKind KindOf(const InputDevice& device) {
  // A gamepad's motion sensor is a device of its own.
  if (device.properties[INPUT_PROP_ACCELEROMETER]) return InputDeviceKind::kOther;
  if (TypesText(device)) return InputDeviceKind::kKeyboard;
  const bool is_mouse = device.relative[REL_X] && device.relative[REL_Y];
  if (HasGamepadButtons(device) && !is_mouse) return InputDeviceKind::kGamepad;
  const bool has_place = (HasAxis(device, ABS_X) && HasAxis(device, ABS_Y)) ||
                         (HasAxis(device, ABS_MT_POSITION_X) && HasAxis(device, ABS_MT_POSITION_Y));
  if (has_place && device.properties[INPUT_PROP_DIRECT] && device.keys[BTN_TOUCH]) {
    return InputDeviceKind::kTouchScreen;
  }
  // Without a button or a pen that touches it, what has a place is an accelerometer.
  if (has_place && HasAny(device.keys, BTN_MOUSE, BTN_TASK)) return InputDeviceKind::kPointer;
  if (has_place && HasAny(device.keys, BTN_TOOL_PEN, BTN_TOOL_QUADTAP)) {
    return InputDeviceKind::kPointer;
  }
  if (device.relative.any()) return InputDeviceKind::kPointer;  // mice, dials
  if (HasHandKeys(device)) return InputDeviceKind::kKeyboard;   // remotes, number pads, presenters
  return InputDeviceKind::kOther;
}

Result<InputDevice> ProbeInputDevice(int descriptor) {
  int version = 0;
  if (::ioctl(descriptor, EVIOCGVERSION, &version) < 0) {
    Error error = os::SystemError("is no input device", errno);
    error.code = errno == ENODEV ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument;
    return std::unexpected(std::move(error));
  }
  InputDevice device;
  device.keys = ReadBits<KEY_CNT>(descriptor, EV_KEY);
  device.relative = ReadBits<REL_CNT>(descriptor, EV_REL);
  std::array<std::uint8_t, (INPUT_PROP_CNT + 7) / 8> properties{};
  if (::ioctl(descriptor, EVIOCGPROP(properties.size()), properties.data()) >= 0) {
    device.properties = ToBits<INPUT_PROP_CNT>(properties);
  }
  const auto absolute = ReadBits<ABS_CNT>(descriptor, EV_ABS);
  for (std::uint16_t code = 0; code < ABS_CNT; ++code) {
    InputAxis axis{.code = code, .range = {}};
    if (absolute[code] && ::ioctl(descriptor, EVIOCGABS(code), &axis.range) >= 0) {
      device.axes.push_back(axis);
    }
  }
  int clock = CLOCK_MONOTONIC;
  device.has_monotonic_times = ::ioctl(descriptor, EVIOCSCLOCKID, &clock) == 0;
  return device;
}

}  // namespace fallow
