#include "platform/linux/input_activity.h"

#include <algorithm>
#include <cstdlib>

namespace fallow {
namespace {

// The least dead zone, as a part of an axis' range: sticks of worn gamepads tremble by 1 to 3 %.
constexpr std::int64_t kLeastPartOfRange = 16;
// The greatest: a driver that claims more would hide a stick's way from rest to its end.
constexpr std::int64_t kGreatestPartOfRange = 4;

std::int64_t DeadZone(const input_absinfo& axis) {
  const std::int64_t range = std::max<std::int64_t>(0, std::int64_t{axis.maximum} - axis.minimum);
  const std::int64_t told = std::max<std::int64_t>(axis.flat, axis.fuzz);
  const std::int64_t least = range / kLeastPartOfRange;
  return std::clamp(told, least, std::max(least, range / kGreatestPartOfRange));
}

}  // namespace

InputActivity::InputActivity(const InputDevice& device)
    : is_gamepad_(KindOf(device) == InputDeviceKind::kGamepad) {
  for (const InputAxis& axis : device.axes) {
    axes_[axis.code] = {.rest = axis.range.value, .dead_zone = DeadZone(axis.range)};
  }
}

bool InputActivity::IsInput(const input_event& event) {
  switch (event.type) {
    case EV_KEY:
    case EV_REL:
      return true;
    case EV_ABS:
      return !is_gamepad_ || Moved(event);
    case EV_SYN:
      return event.code == SYN_DROPPED;
    default:
      return false;
  }
}

bool InputActivity::Moved(const input_event& event) {
  const auto axis = axes_.find(event.code);
  if (axis == axes_.end()) return false;  // the kernel did not announce it
  if (std::abs(event.value - axis->second.rest) <= axis->second.dead_zone) return false;
  axis->second.rest = event.value;
  return true;
}

}  // namespace fallow
