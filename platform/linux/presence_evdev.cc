// Presence by the kernel's input devices.
//
// While nobody waits for input, devices are not watched: an owner at work must not wake us. Their
// queues are read when somebody asks; the kernel keeps the newest events, says that it dropped
// older ones, and gives each the time at which it arose.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "platform/linux/evdev_source.h"
#include "platform/linux/input_activity.h"
#include "platform/linux/input_folder.h"
#include "platform/linux/input_wait.h"
#include "platform/linux/owned_descriptor.h"
#include "platform/os.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Time = steady_clock::time_point;

// A device's queue holds some hundred events; a device that gives more at a time floods.
constexpr int kMaxReadsAtATime = 64;
constexpr std::size_t kEventsPerRead = 64;
// Of more devices in trouble only the number is told.
constexpr std::size_t kMaxNamedTroubles = 3;

Time TimeOf(const input_event& event) {
  return Time(std::chrono::seconds(event.input_event_sec) +
              std::chrono::microseconds(event.input_event_usec));
}

// One open device.
class EvdevDevice {
 public:
  EvdevDevice(OwnedDescriptor descriptor, const InputDevice& device)
      : descriptor_(std::move(descriptor)),
        kind_(KindOf(device)),
        has_times_(device.has_monotonic_times),
        activity_(device) {}

  InputDeviceKind kind() const { return kind_; }

  // When there was input among what has arrived, at latest `now`; none: there was none. An error:
  // the device cannot be read any more.
  Result<std::optional<Time>> TakeInput(Time now) {
    std::optional<Time> last;
    std::array<input_event, kEventsPerRead> events;
    for (int i = 0; i < kMaxReadsAtATime; ++i) {
      const ssize_t size = ::read(descriptor_.number(), events.data(), sizeof(events));
      if (size < 0 && errno == EAGAIN) return last;
      if (size < 0 && errno == EINTR) continue;
      if (size == 0 || (size < 0 && errno == ENODEV)) {
        return Fail(ErrorCode::kUnavailable, "was unplugged");
      }
      if (size < 0) return std::unexpected(os::SystemError("cannot be read", errno));
      if (size % sizeof(input_event) != 0) {
        return Fail(ErrorCode::kDataLoss,
                    fmt::format("gave {} bytes, which are no whole events of {} bytes", size,
                                sizeof(input_event)));
      }
      const std::size_t count = static_cast<std::size_t>(size) / sizeof(input_event);
      for (std::size_t k = 0; k < count; ++k) {
        if (!activity_.IsInput(events.at(k))) continue;
        const Time time = has_times_ ? std::min(TimeOf(events.at(k)), now) : now;
        last = std::max(last.value_or(time), time);
      }
    }
    return last;
  }

  void Watch(Loop& loop, std::function<void()> on_events) {
    if (watch_ != nullptr) return;
    watch_ = WatchDescriptor(loop, descriptor_.number(), std::move(on_events));
  }
  void EndWatch() { watch_.reset(); }

 private:
  OwnedDescriptor descriptor_;
  InputDeviceKind kind_;
  bool has_times_;
  InputActivity activity_;
  std::unique_ptr<DescriptorWatch> watch_;  // goes before the descriptor
};

class EvdevPresenceSource : public PresenceSource {
 public:
  EvdevPresenceSource(Loop& loop, EvdevOptions options, InputProbe probe)
      : loop_(loop),
        options_(std::move(options)),
        probe_(std::move(probe)),
        last_input_(options_.gamepads_only ? Time{} : steady_clock::now()),
        wait_(loop) {}

  std::string name() const override { return options_.gamepads_only ? "gamepads" : "evdev"; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(folder_, InputFolder::Open(options_.folder));
    OpenDevices();
    wait_.ToldByReading();  // nobody has asked yet
    return Trouble();
  }

  PresenceReading Read() override {
    PresenceReading reading{.source = name(), .kind = Kind()};
    Refresh();
    wait_.ToldByReading();
    if (const Status trouble = Trouble(); !trouble) {
      reading.detail = trouble.error().message;
      return reading;
    }
    reading.known = true;
    reading.idle_for =
        std::chrono::floor<milliseconds>(std::max(steady_clock::now(), last_input_) - last_input_);
    reading.detail = Describe();
    return reading;
  }

  bool AwaitInput(std::function<void()> on_input) override {
    EndWatches();
    wait_.Set(nullptr);
    if (!on_input) return true;
    Refresh();
    if (!Trouble()) return false;
    wait_.Set(std::move(on_input));
    if (wait_.active()) Watch();
    return true;
  }

 private:
  using Devices = std::map<std::string, EvdevDevice>;

  PresenceKind Kind() const {
    return options_.gamepads_only ? PresenceKind::kGamepad : PresenceKind::kInput;
  }

  bool Wants(InputDeviceKind kind) const {
    return options_.gamepads_only ? kind == InputDeviceKind::kGamepad
                                  : kind != InputDeviceKind::kOther;
  }

  // Why it cannot tell.
  Status Trouble() const {
    if (!folder_) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{} is not there", options_.folder));
    }
    // Without a gamepad nobody plays on one. Devices that may not be read are keyboards and mice:
    // the user at the screen is given the gamepads.
    if (options_.gamepads_only) return {};
    if (!forbidden_.empty()) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("{}/{}{} may not be read: only the group `input` may",
                              options_.folder, *forbidden_.begin(),
                              forbidden_.size() > 1
                                  ? fmt::format(" and {} more devices", forbidden_.size() - 1)
                                  : ""));
    }
    if (devices_.empty()) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("there is no keyboard, pointer, touch screen or gamepad in {}{}",
                              options_.folder, DescribeBroken()));
    }
    return {};
  }

  // Brings the devices, and the last input, up to date.
  void Refresh() {
    if (!folder_) {
      if (auto opened = InputFolder::Open(options_.folder)) folder_ = *std::move(opened);
      if (folder_) OpenDevices();
    }
    FollowFolder();
    std::vector<std::string> names;
    for (const auto& [name, device] : devices_) names.push_back(name);
    for (const std::string& name : names) ReadDevice(name);
  }

  void FollowFolder() {
    if (!folder_) return;
    const InputFolder::Changes changes = folder_->TakeChanges();
    if (!changes.any) return;
    const std::size_t devices_before = devices_.size();
    for (const std::string& name : changes.anew) Forget(name);
    if (changes.gone) {
      folder_watch_.reset();
      folder_.reset();
      devices_.clear();
      others_.clear();
      broken_.clear();
    }
    if (changes.gone || devices_.size() < devices_before) Told();
    if (folder_) OpenDevices();
  }

  void Forget(const std::string& name) {
    devices_.erase(name);
    others_.erase(name);
    broken_.erase(name);
  }

  // Opens what has come and may be read now.
  void OpenDevices() {
    forbidden_.clear();
    const std::set<std::string> names = folder_->Names();
    for (const std::string& name : names) {
      if (!devices_.contains(name) && !others_.contains(name) && !broken_.contains(name)) {
        OpenDevice(name);
      }
    }
    if (wait_.active()) Watch();
  }

  void OpenDevice(const std::string& name) {
    const std::string path = options_.folder + "/" + name;
    OwnedDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!descriptor) {
      if (errno == EACCES || errno == EPERM) {
        forbidden_.insert(name);
      } else if (errno != ENOENT) {
        broken_[name] = os::SystemError("cannot be opened", errno).message;
      }
      return;
    }
    const auto device = probe_(descriptor.number());
    if (!device) {
      broken_[name] = device.error().message;
    } else if (Wants(KindOf(*device))) {
      devices_.emplace(name, EvdevDevice(std::move(descriptor), *device));
      // What it did before is not known, and a gamepad that comes is in somebody's hands.
      if (!options_.gamepads_only) return;
      last_input_ = steady_clock::now();
      Told();
    } else {
      others_.insert(name);
    }
  }

  // Whoever waits is told of input and of a device's end, which may hide some.
  void ReadDevice(const std::string& name) {
    const auto device = devices_.find(name);
    if (device == devices_.end()) return;
    const auto input = device->second.TakeInput(steady_clock::now());
    if (!input) {
      broken_[name] = input.error().message;
      devices_.erase(device);
      Told();
    } else if (*input) {
      last_input_ = std::max(last_input_, **input);
      Told();
    }
  }

  void Watch() {
    if (folder_watch_ == nullptr && folder_) {
      folder_watch_ = WatchDescriptor(loop_, folder_->descriptor(), [this] { FollowFolder(); });
    }
    for (auto& [name, device] : devices_) {
      device.Watch(loop_, [this, name = name] { ReadDevice(name); });
    }
  }

  void EndWatches() {
    folder_watch_.reset();
    for (auto& [name, device] : devices_) device.EndWatch();
  }

  void Told() {
    EndWatches();
    wait_.Tell();
  }

  std::string Describe() const {
    std::map<InputDeviceKind, int> counts;
    for (const auto& [name, device] : devices_) ++counts[device.kind()];
    std::vector<std::string> parts;
    const auto add = [&](InputDeviceKind kind, std::string_view one) {
      if (const int count = counts[kind]; count > 0) {
        parts.push_back(fmt::format("{} {}{}", count, one, count == 1 ? "" : "s"));
      }
    };
    add(InputDeviceKind::kKeyboard, "keyboard");
    add(InputDeviceKind::kPointer, "pointer");
    add(InputDeviceKind::kTouchScreen, "touch screen");
    add(InputDeviceKind::kGamepad, "gamepad");
    if (parts.empty()) parts.emplace_back("no gamepad");
    if (!forbidden_.empty()) {
      parts.push_back(fmt::format("{} that may not be read", forbidden_.size()));
    }
    return fmt::format("{}{}", fmt::join(parts, ", "), DescribeBroken());
  }

  // "; event3 was unplugged", or nothing.
  std::string DescribeBroken() const {
    std::string text;
    std::size_t named = 0;
    for (const auto& [name, why] : broken_) {
      if (named++ == kMaxNamedTroubles) break;
      text += fmt::format("; {} {}", name, why);
    }
    if (broken_.size() > kMaxNamedTroubles) {
      text += fmt::format("; and {} more in trouble", broken_.size() - kMaxNamedTroubles);
    }
    return text;
  }

  Loop& loop_;
  const EvdevOptions options_;
  const InputProbe probe_;
  std::optional<InputFolder> folder_;  // none: it went away
  Devices devices_;
  std::set<std::string> others_;               // not of a kind that is wanted
  std::set<std::string> forbidden_;            // what they are is not known
  std::map<std::string, std::string> broken_;  // and why
  // Or when the source was made, if that is later; of gamepads, when the last one came.
  Time last_input_;
  InputWait wait_;
  std::unique_ptr<DescriptorWatch> folder_watch_;  // goes before the folder; while somebody waits
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> OpenEvdevSource(Loop& loop, EvdevOptions options,
                                                        InputProbe probe) {
  auto source = std::make_unique<EvdevPresenceSource>(loop, std::move(options), std::move(probe));
  FALLOW_RETURN_IF_ERROR(source->Open());
  return source;
}

Result<std::unique_ptr<PresenceSource>> NewEvdevPresenceSource(Loop& loop, EvdevOptions options) {
  return OpenEvdevSource(loop, std::move(options), ProbeInputDevice);
}

}  // namespace fallow
