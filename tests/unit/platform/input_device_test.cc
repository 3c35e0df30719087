#include "platform/linux/input_device.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "platform/linux/input_activity.h"

namespace fallow {
namespace {

struct Described {
  std::string what;
  InputDeviceKind kind;
  std::vector<unsigned> keys;
  std::vector<unsigned> relative = {};
  std::vector<std::uint16_t> axes = {};
  std::vector<unsigned> properties = {};
};

InputDevice DeviceOf(const Described& described) {
  InputDevice device;
  for (const unsigned key : described.keys) device.keys[key] = true;
  for (const unsigned axis : described.relative) device.relative[axis] = true;
  for (const unsigned property : described.properties) device.properties[property] = true;
  for (const std::uint16_t code : described.axes) {
    device.axes.push_back({.code = code, .range = {.value = 128, .minimum = 0, .maximum = 255}});
  }
  return device;
}

const std::vector<unsigned> kTyping = {KEY_ESC, KEY_Q, KEY_A, KEY_Z, KEY_ENTER, KEY_SPACE};

std::vector<unsigned> And(std::vector<unsigned> keys, const std::vector<unsigned>& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

TEST(InputDevice, IsKnownByWhatItCanDo) {
  using enum InputDeviceKind;
  const std::vector<Described> cases = {
      {"keyboard", kKeyboard, kTyping},
      {"keyboard that claims a gamepad's buttons", kKeyboard,
       And(kTyping, {BTN_SOUTH, BTN_TRIGGER})},
      {"keyboard with a wheel", kKeyboard, kTyping, {REL_HWHEEL}},
      {"number pad", kKeyboard, {KEY_KP0, KEY_KPENTER}},
      {"presenter", kKeyboard, {KEY_PAGEUP, KEY_PAGEDOWN}},
      {"media keys", kKeyboard, {KEY_VOLUMEUP, KEY_PLAYPAUSE}},
      {"television's remote", kKeyboard, {KEY_OK, KEY_NUMERIC_1}},
      {"mouse", kPointer, {BTN_LEFT, BTN_RIGHT}, {REL_X, REL_Y, REL_WHEEL}},
      {"mouse that claims a gamepad's buttons", kPointer, {BTN_LEFT, BTN_TRIGGER}, {REL_X, REL_Y}},
      {"dial", kPointer, {BTN_0}, {REL_DIAL}},
      {"virtual machine's tablet", kPointer, {BTN_LEFT}, {REL_WHEEL}, {ABS_X, ABS_Y}},
      {"touchpad",
       kPointer,
       {BTN_LEFT, BTN_TOUCH, BTN_TOOL_FINGER},
       {},
       {ABS_X, ABS_Y, ABS_MT_POSITION_X, ABS_MT_POSITION_Y},
       {INPUT_PROP_POINTER}},
      {"pen tablet", kPointer, {BTN_TOOL_PEN, BTN_STYLUS, BTN_TOUCH}, {}, {ABS_X, ABS_Y}},
      {"touch screen",
       kTouchScreen,
       {BTN_TOUCH},
       {},
       {ABS_MT_POSITION_X, ABS_MT_POSITION_Y},
       {INPUT_PROP_DIRECT}},
      {"gamepad", kGamepad, {BTN_SOUTH, BTN_START}, {}, {ABS_X, ABS_Y, ABS_RX, ABS_RY, ABS_HAT0X}},
      {"joystick", kGamepad, {BTN_TRIGGER, BTN_THUMB}, {}, {ABS_X, ABS_Y, ABS_THROTTLE}},
      {"arcade stick without axes", kGamepad, {BTN_SOUTH, BTN_EAST}},
      {"gamepad's motion sensor",
       kOther,
       {},
       {},
       {ABS_X, ABS_Y, ABS_Z, ABS_RX, ABS_RY, ABS_RZ},
       {INPUT_PROP_ACCELEROMETER}},
      {"gamepad's motion sensor with a button",
       kOther,
       {BTN_SOUTH},
       {},
       {ABS_X, ABS_Y, ABS_Z},
       {INPUT_PROP_ACCELEROMETER}},
      {"accelerometer of a laptop", kOther, {}, {}, {ABS_X, ABS_Y, ABS_Z}},
      {"power button", kOther, {KEY_POWER}},
      {"sleep button", kOther, {KEY_SLEEP}},
      {"brightness keys of the firmware", kOther, {KEY_BRIGHTNESSDOWN, KEY_BRIGHTNESSUP}},
      {"lid switch, speaker, jack", kOther, {}},
  };
  for (const Described& described : cases) {
    EXPECT_EQ(KindOf(DeviceOf(described)), described.kind) << described.what;
  }
}

input_event Event(std::uint16_t type, std::uint16_t code, int value) {
  return {.time = {}, .type = type, .code = code, .value = value};
}

InputActivity GamepadWith(InputAxis axis) {
  InputDevice device;
  device.keys[BTN_SOUTH] = true;
  device.axes.push_back(axis);
  return InputActivity(device);
}

TEST(InputActivity, TremblingStickIsNotInput) {
  InputActivity activity = GamepadWith(
      {.code = ABS_X, .range = {.value = 900, .minimum = -32768, .maximum = 32767, .flat = 128}});
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_FALSE(activity.IsInput(Event(EV_ABS, ABS_X, 900 + (i % 2 == 0 ? 1 : -1) * (i % 1'500))));
  }
}

TEST(InputActivity, StickThatIsMovedIsInputEachWay) {
  InputActivity activity = GamepadWith(
      {.code = ABS_X, .range = {.value = 0, .minimum = -32768, .maximum = 32767, .flat = 128}});
  EXPECT_TRUE(activity.IsInput(Event(EV_ABS, ABS_X, 8'000)));
  EXPECT_FALSE(activity.IsInput(Event(EV_ABS, ABS_X, 8'100))) << "held there";
  EXPECT_TRUE(activity.IsInput(Event(EV_ABS, ABS_X, 0)));
  EXPECT_TRUE(activity.IsInput(Event(EV_ABS, ABS_X, -32'768)));
}

TEST(InputActivity, DriversDeadZoneCountsWithinReason) {
  InputActivity wide = GamepadWith(
      {.code = ABS_X, .range = {.value = 0, .minimum = 0, .maximum = 1'000, .flat = 200}});
  EXPECT_FALSE(wide.IsInput(Event(EV_ABS, ABS_X, 200)));
  EXPECT_TRUE(wide.IsInput(Event(EV_ABS, ABS_X, 201)));
  InputActivity noisy = GamepadWith(
      {.code = ABS_X, .range = {.value = 0, .minimum = 0, .maximum = 1'000, .fuzz = 100}});
  EXPECT_FALSE(noisy.IsInput(Event(EV_ABS, ABS_X, 100)));
  InputActivity absurd = GamepadWith(
      {.code = ABS_X, .range = {.value = 0, .minimum = 0, .maximum = 1'000, .flat = 5'000}});
  EXPECT_TRUE(absurd.IsInput(Event(EV_ABS, ABS_X, 251)));
  InputActivity inverted = GamepadWith(
      {.code = ABS_X, .range = {.value = 0, .minimum = 2'147'483'647, .maximum = -2'147'483'647}});
  EXPECT_TRUE(inverted.IsInput(Event(EV_ABS, ABS_X, 1)));
}

TEST(InputActivity, HatAndTriggerOfAGamepadAreInput) {
  InputActivity hat =
      GamepadWith({.code = ABS_HAT0X, .range = {.value = 0, .minimum = -1, .maximum = 1}});
  EXPECT_TRUE(hat.IsInput(Event(EV_ABS, ABS_HAT0X, -1)));
  EXPECT_TRUE(hat.IsInput(Event(EV_ABS, ABS_HAT0X, 0)));
  InputActivity trigger =
      GamepadWith({.code = ABS_Z, .range = {.value = 0, .minimum = 0, .maximum = 255}});
  EXPECT_FALSE(trigger.IsInput(Event(EV_ABS, ABS_Z, 3)));
  EXPECT_TRUE(trigger.IsInput(Event(EV_ABS, ABS_Z, 40)));
  EXPECT_FALSE(trigger.IsInput(Event(EV_ABS, ABS_RZ, 255))) << "an axis it does not have";
}

TEST(InputActivity, WhatAHandDoesIsInputAndTheRestIsNot) {
  InputDevice device;
  for (const unsigned key : kTyping) device.keys[key] = true;
  InputActivity activity(device);
  EXPECT_TRUE(activity.IsInput(Event(EV_KEY, KEY_A, 1)));
  EXPECT_TRUE(activity.IsInput(Event(EV_KEY, KEY_A, 0)));
  EXPECT_TRUE(activity.IsInput(Event(EV_REL, REL_X, -1)));
  EXPECT_TRUE(activity.IsInput(Event(EV_ABS, ABS_X, 5))) << "only gamepads tremble";
  EXPECT_TRUE(activity.IsInput(Event(EV_SYN, SYN_DROPPED, 0))) << "lost events were events";
  EXPECT_FALSE(activity.IsInput(Event(EV_SYN, SYN_REPORT, 0)));
  EXPECT_FALSE(activity.IsInput(Event(EV_MSC, MSC_SCAN, 4)));
  EXPECT_FALSE(activity.IsInput(Event(EV_LED, LED_CAPSL, 1)));
  EXPECT_FALSE(activity.IsInput(Event(EV_SW, SW_LID, 1)));
  EXPECT_FALSE(activity.IsInput(Event(EV_FF, 0, 1)));
}

}  // namespace
}  // namespace fallow
