// The source of the kernel's input devices. Devices are played by FIFOs in a folder, into which the
// test writes the events that a kernel would; one test asks the kernel for a real device (uinput).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/uinput.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "platform/linux/evdev_source.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

InputDevice Keyboard() {
  InputDevice device;
  for (const unsigned key : {KEY_A, KEY_Z, KEY_ENTER}) device.keys[key] = true;
  return device;
}

InputDevice Gamepad() {
  InputDevice device;
  device.keys[BTN_SOUTH] = true;
  device.axes.push_back(
      {.code = ABS_X, .range = {.value = 0, .minimum = -32768, .maximum = 32767, .flat = 128}});
  return device;
}

// With the present time, or one that is `ago`.
input_event Event(std::uint16_t type, std::uint16_t code, int value, milliseconds ago = {}) {
  const auto time = steady_clock::now().time_since_epoch() - ago;
  input_event event{};
  event.input_event_sec = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  event.input_event_usec =
      std::chrono::duration_cast<std::chrono::microseconds>(time % std::chrono::seconds(1)).count();
  event.type = type;
  event.code = code;
  event.value = value;
  return event;
}

class EvdevPresence : public ::testing::Test {
 protected:
  std::string PathOf(const std::string& name) const { return folder_.path() + "/" + name; }

  void Plug(const std::string& name, InputDevice device) {
    devices_.push_back(std::move(device));
    ASSERT_EQ(mkfifo(PathOf(name).c_str(), 0600), 0);
    ends_[name] = open(PathOf(name).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct stat status {};
    ASSERT_EQ(fstat(ends_[name], &status), 0);
    by_inode_[status.st_ino] = devices_.size() - 1;
  }
  // Only what is read of it ends; its file stays.
  void Cut(const std::string& name) {
    close(ends_[name]);
    ends_.erase(name);
  }
  void Unplug(const std::string& name) {
    std::filesystem::remove(PathOf(name));
    Cut(name);
  }
  void Send(const std::string& name, const std::vector<input_event>& events) {
    const auto size = static_cast<ssize_t>(events.size() * sizeof(input_event));
    ASSERT_EQ(write(ends_[name], events.data(), static_cast<std::size_t>(size)), size);
  }
  void Press(const std::string& name) {
    Send(name, {Event(EV_MSC, MSC_SCAN, 4), Event(EV_KEY, KEY_A, 1), Event(EV_SYN, SYN_REPORT, 0)});
  }
  void TearDown() override {
    for (const auto& [name, end] : ends_) close(end);
  }

  Result<std::unique_ptr<PresenceSource>> Open(bool gamepads_only = false) {
    return OpenEvdevSource(*loop_, {.folder = folder_.path(), .gamepads_only = gamepads_only},
                           [this](int descriptor) -> Result<InputDevice> {
                             struct stat status {};
                             fstat(descriptor, &status);
                             const auto played = by_inode_.find(status.st_ino);
                             if (played == by_inode_.end()) return ProbeInputDevice(descriptor);
                             return devices_.at(played->second);
                           });
  }

  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  TemporaryFolder folder_;
  std::vector<InputDevice> devices_;
  std::map<ino_t, std::size_t> by_inode_;
  std::map<std::string, int> ends_;  // ours
};

TEST_F(EvdevPresence, KeyEndsAWaitOnce) {
  Plug("event0", Keyboard());
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 0);
  Press("event0");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
  Press("event0");
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 1);
}

TEST_F(EvdevPresence, WhatCameBetweenAReadingAndAWaitEndsIt) {
  Plug("event0", Keyboard());
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_TRUE((*source)->Read().known);
  int told = 0;
  Press("event0");
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_EQ(told, 0) << "from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 1) << "once";
}

TEST_F(EvdevPresence, WhatAReadingToldOfDoesNotEndAWait) {
  Plug("event0", Keyboard());
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  Press("event0");
  EXPECT_TRUE((*source)->Read().known);
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Send("event0", {Event(EV_LED, LED_CAPSL, 1), Event(EV_SYN, SYN_REPORT, 0)});
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 0);
}

TEST_F(EvdevPresence, ReplacedAndEndedWaitsAreNotTold) {
  Plug("event0", Keyboard());
  auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int replaced = 0;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Press("event0");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  ASSERT_TRUE((*source)->AwaitInput(nullptr));
  Press("event0");
  RunFor(*loop_, milliseconds(20));
  // Told, but replaced before the loop's next turn.
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  Press("event0");
  EXPECT_TRUE((*source)->Read().known);
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  source->reset();
  Press("event0");
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(replaced, 0);
  EXPECT_EQ(told, 1);
}

TEST_F(EvdevPresence, IdleTimeIsThatOfTheEventsNotOfTheirReading) {
  InputDevice keyboard = Keyboard();
  keyboard.has_monotonic_times = true;
  Plug("event0", keyboard);
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto opened = steady_clock::now();
  RunFor(*loop_, milliseconds(120));
  const auto passed = std::chrono::floor<milliseconds>(steady_clock::now() - opened);
  EXPECT_GE((*source)->Read().idle_for, passed) << "since it was opened";
  auto sent = steady_clock::now();
  Send("event0", {Event(EV_KEY, KEY_A, 1, milliseconds(80)), Event(EV_MSC, MSC_SCAN, 1)});
  auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.detail, "1 keyboard");
  EXPECT_EQ(reading.kind, PresenceKind::kInput);
  EXPECT_GE(reading.idle_for, milliseconds(80));
  EXPECT_LE(reading.idle_for, milliseconds(80) + (steady_clock::now() - sent));
  Send("event0", {Event(EV_KEY, KEY_A, 1, milliseconds(3'600'000))});
  EXPECT_LT((*source)->Read().idle_for, milliseconds(3'000'000)) << "no later than known before";
  sent = steady_clock::now();
  Send("event0", {Event(EV_KEY, KEY_A, 1, -milliseconds(3'600'000))});
  reading = (*source)->Read();
  EXPECT_GE(reading.idle_for, milliseconds(0)) << "a time to come counts as now";
  EXPECT_LE(reading.idle_for, steady_clock::now() - sent);
}

TEST_F(EvdevPresence, LostEventsAreInput) {
  Plug("event0", Keyboard());
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Send("event0", {Event(EV_SYN, SYN_DROPPED, 0)});
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
}

TEST_F(EvdevPresence, GamepadsStickIsInputWhenItIsMovedNotWhenItTrembles) {
  Plug("event0", Gamepad());
  Plug("event1", Keyboard());
  const auto source = Open(true);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ((*source)->Read().kind, PresenceKind::kGamepad);
  EXPECT_EQ((*source)->Read().detail, "1 gamepad");
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  for (int i = 0; i < 50; ++i) {
    Send("event0", {Event(EV_ABS, ABS_X, i * 20 - 500), Event(EV_SYN, SYN_REPORT, 0)});
  }
  Press("event1");
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 0) << "another source's keyboard, and a worn stick";
  Send("event0", {Event(EV_ABS, ABS_X, 20'000)});
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
}

TEST_F(EvdevPresence, GamepadThatComesLaterIsFound) {
  const auto source = Open(true);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << "nobody plays on a gamepad that is not there";
  EXPECT_EQ(reading.detail, "no gamepad");
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Plug("event7", Gamepad());
  RunFor(*loop_, milliseconds(20));
  Send("event7", {Event(EV_KEY, BTN_SOUTH, 1)});
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  EXPECT_EQ((*source)->Read().detail, "1 gamepad");
  Unplug("event7");
  EXPECT_EQ((*source)->Read().detail, "no gamepad");
  Plug("event7", Keyboard());
  EXPECT_EQ((*source)->Read().detail, "no gamepad") << "another device of the same name";
}

TEST_F(EvdevPresence, DeviceThatIsUnpluggedIsNamedAndTheOthersStay) {
  Plug("event0", Keyboard());
  Plug("event1", Keyboard());
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Cut("event1");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_EQ(reading.detail, "1 keyboard; event1 was unplugged");
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Unplug("event0");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 2; }));
  reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("no keyboard"));
  EXPECT_FALSE((*source)->AwaitInput([&] { ++told; }));
}

TEST_F(EvdevPresence, GarbageIsNamedAndSurvived) {
  Plug("event0", Keyboard());
  Plug("event1", Keyboard());
  std::ofstream(PathOf("event2")) << "no device";
  std::ofstream(PathOf("mouse0")) << "not looked at";
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_THAT((*source)->Read().detail, HasSubstr("2 keyboards; event2 is no input device"));
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  ASSERT_EQ(write(ends_["event1"], "garbage", 7), 7);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; })) << "it may have been input";
  const auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("1 keyboard; event1 gave 7 bytes"));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  Press("event0");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 2; }));
}

TEST_F(EvdevPresence, DeviceThatFloodsDoesNotHoldTheLoop) {
  Plug("event0", Keyboard());
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  fcntl(ends_["event0"], F_SETPIPE_SZ, 1 << 20);
  const std::vector<input_event> many(40'000, Event(EV_KEY, KEY_A, 2));
  Send("event0", many);
  EXPECT_TRUE((*source)->Read().known);
  int left_bytes = 0;
  ASSERT_EQ(ioctl(ends_["event0"], FIONREAD, &left_bytes), 0);
  EXPECT_GT(left_bytes, static_cast<int>(many.size() * sizeof(input_event) / 2))
      << "one reading took most of it";
}

// Root may read everything: then the test looks as somebody else.
TEST_F(EvdevPresence, DeviceThatMayNotBeReadIsNamed) {
  constexpr uid_t kNobody = 65534;
  Plug("event0", Gamepad());
  Plug("event1", Keyboard());
  chmod(folder_.path().c_str(), 0755);
  chmod(PathOf("event0").c_str(), 0444);
  chmod(PathOf("event1").c_str(), 0);
  const uid_t user = geteuid();
  ASSERT_EQ(seteuid(user == 0 ? kNobody : user), 0);
  const auto everything = Open();
  const auto gamepads = Open(true);
  ASSERT_EQ(seteuid(user), 0);
  ASSERT_FALSE(everything.has_value()) << "the other one could be the keyboard";
  EXPECT_EQ(everything.error().code, ErrorCode::kPermissionDenied);
  EXPECT_THAT(everything.error().message, HasSubstr("event1 may not be read"));
  ASSERT_TRUE(gamepads.has_value()) << gamepads.error().message;
  EXPECT_EQ((*gamepads)->Read().detail, "1 gamepad, 1 that may not be read");
}

// Else each start of a helper would count as use of a gamepad that is not there.
TEST_F(EvdevPresence, WithoutAGamepadNobodyPlayedOnOne) {
  const auto source = Open(/*gamepads_only=*/true);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto reading = (*source)->Read();
  ASSERT_TRUE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("no gamepad"));
  EXPECT_GE(reading.idle_for, milliseconds(5'000)) << "since the machine was started";
  Plug("event3", Gamepad());
  EXPECT_LT((*source)->Read().idle_for, milliseconds(5'000)) << "it is in somebody's hands";
}

TEST_F(EvdevPresence, FolderThatGoesAndComesIsNoticed) {
  const std::string input = folder_.path() + "/input";
  std::filesystem::create_directory(input);
  const auto source =
      OpenEvdevSource(*loop_, {.folder = input, .gamepads_only = true}, ProbeInputDevice);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  std::filesystem::remove(input);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_EQ(reading.kind, PresenceKind::kGamepad);
  EXPECT_THAT(reading.detail, HasSubstr(input));
  std::filesystem::create_directory(input);
  EXPECT_TRUE((*source)->Read().known);
}

TEST_F(EvdevPresence, NothingToReadIsUnavailable) {
  const auto nothing = Open();
  ASSERT_FALSE(nothing.has_value());
  EXPECT_EQ(nothing.error().code, ErrorCode::kUnavailable);
  const auto nowhere =
      NewEvdevPresenceSource(*loop_, {.folder = "/nowhere", .gamepads_only = true});
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_EQ(nowhere.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(nowhere.error().message, HasSubstr("/nowhere"));
}

// A keyboard made by the kernel for this test.
class UinputKeyboard {
 public:
  UinputKeyboard() : descriptor_(open("/dev/uinput", O_WRONLY | O_NONBLOCK | O_CLOEXEC)) {
    if (descriptor_ < 0) return;
    ioctl(descriptor_, UI_SET_EVBIT, EV_KEY);
    for (const int key : {KEY_A, KEY_Z, KEY_ENTER}) ioctl(descriptor_, UI_SET_KEYBIT, key);
    uinput_setup setup{};
    setup.id.bustype = BUS_VIRTUAL;
    std::string("fallow test keyboard").copy(setup.name, sizeof(setup.name) - 1);
    ioctl(descriptor_, UI_DEV_SETUP, &setup);
    ioctl(descriptor_, UI_DEV_CREATE);
  }
  ~UinputKeyboard() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  UinputKeyboard(const UinputKeyboard&) = delete;
  UinputKeyboard& operator=(const UinputKeyboard&) = delete;

  explicit operator bool() const { return descriptor_ >= 0; }
  // "event5"; empty as long as there is none.
  std::string name() const {
    char folder[64] = "";
    ioctl(descriptor_, UI_GET_SYSNAME(sizeof(folder)), folder);
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string("/sys/devices/virtual/input/") + folder)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("event")) return name;
    }
    return "";
  }
  void Press() {
    for (const int down : {1, 0}) {
      const input_event events[] = {Event(EV_KEY, KEY_A, down), Event(EV_SYN, SYN_REPORT, 0)};
      EXPECT_EQ(write(descriptor_, events, sizeof(events)), static_cast<ssize_t>(sizeof(events)));
    }
  }

 private:
  int descriptor_;
};

TEST_F(EvdevPresence, KernelsDeviceIsProbedAndRead) {
  UinputKeyboard keyboard;
  if (!keyboard)
    GTEST_SKIP() << "/dev/uinput cannot be opened here: it needs a kernel with uinput and root";
  const std::string device = "/dev/input/" + keyboard.name();
  ASSERT_TRUE(fallow::testing::WaitUntil([&] { return access(device.c_str(), R_OK) == 0; },
                                         std::chrono::seconds(60)));
  // Alone in a folder: the machine's own devices are none of the test's.
  std::filesystem::create_symlink(device, PathOf("event0"));
  const auto source = NewEvdevPresenceSource(*loop_, {.folder = folder_.path()});
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ((*source)->Read().detail, "1 keyboard");
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  keyboard.Press();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  EXPECT_LT((*source)->Read().idle_for, milliseconds(2'000));
}

}  // namespace
}  // namespace fallow
