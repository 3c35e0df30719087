// Presence by GNOME's compositor, on X11 and Wayland.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "platform/linux/bus.h"
#include "platform/linux/idle_mark.h"
#include "platform/linux/input_wait.h"
#include "platform/presence.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

const BusObject kMonitor{"org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core",
                         "org.gnome.Mutter.IdleMonitor"};
// More is not believed: time must not overflow because of what a service says.
constexpr milliseconds kMaxIdle = std::chrono::hours(24 * 366);
constexpr std::uint32_t kNoWatch = 0;  // Mutter numbers its watches from 1

// The one value of a reply.
template <class T>
Result<T> OnlyValue(const Result<BusMessage>& reply, char type) {
  if (!reply) return std::unexpected(reply.error());
  T value{};
  if (sd_bus_message_read_basic(reply->get(), type, &value) > 0) return value;
  return Fail(ErrorCode::kDataLoss, kMonitor.service + " answers something else than was asked");
}

class MutterPresenceSource : public PresenceSource {
 public:
  explicit MutterPresenceSource(Loop& loop) : loop_(loop), wait_(loop) {}

  std::string name() const override { return "mutter"; }

  // Connects if need be.
  Result<milliseconds> IdleFor() {
    if (bus_ == nullptr || bus_->broken()) {
      if (Status connected = Connect(); !connected) {
        bus_.reset();
        return std::unexpected(std::move(connected).error());
      }
    }
    FALLOW_ASSIGN_OR_RETURN(const auto idle_ms,
                            OnlyValue<std::uint64_t>(bus_->Call(kMonitor, "GetIdletime"), 't'));
    return milliseconds(std::min(idle_ms, static_cast<std::uint64_t>(kMaxIdle.count())));
  }

  PresenceReading Read() override {
    PresenceReading reading{.source = name()};
    if (const auto idle = IdleFor()) {
      reading.known = true;
      reading.idle_for = *idle;
      told_.Told(*idle, steady_clock::now());
    } else {
      reading.detail = idle.error().message;
      wait_.Tell();
    }
    wait_.ToldByReading();
    return reading;
  }

  bool AwaitInput(std::function<void()> on_input) override {
    EndWatch();
    wait_.Set(std::move(on_input));
    if (!wait_.active()) return true;
    if (bus_ != nullptr && !bus_->broken() && StartWatch()) return true;
    wait_.Set(nullptr);
    return false;
  }

 private:
  bool StartWatch() {
    const auto watch = OnlyValue<std::uint32_t>(bus_->Call(kMonitor, "AddUserActiveWatch"), 'u');
    if (!watch) return false;
    watch_ = *watch;
    // The watch fires for what comes after it was set. What came before shows in the idle time.
    const auto asked_at = steady_clock::now();
    const auto idle = IdleFor();
    if (idle && told_.Passed(*idle, asked_at)) TellInput();
    return idle && watch_ != kNoWatch;  // else the bus was lost in between
  }

  Status Connect() {
    watch_ = kNoWatch;
    fired_.reset();
    owner_changed_.reset();
    FALLOW_ASSIGN_OR_RETURN(bus_, Bus::Open(loop_, Bus::Which::kSession));
    bus_->OnBroken([this] { WatchEnded(); });
    FALLOW_ASSIGN_OR_RETURN(fired_,
                            bus_->OnSignal(kMonitor, "WatchFired", [this](sd_bus_message* signal) {
                              std::uint32_t watch = kNoWatch;
                              sd_bus_message_read_basic(signal, 'u', &watch);
                              if (watch != kNoWatch && watch == watch_) {
                                watch_ = kNoWatch;
                                TellInput();
                              }
                            }));
    FALLOW_ASSIGN_OR_RETURN(owner_changed_,
                            bus_->OnOwnerChanged(kMonitor.service, [this] { WatchEnded(); }));
    return {};
  }

  // One of this kind ends when it fires, or with Mutter or the bus.
  void WatchEnded() {
    watch_ = kNoWatch;
    wait_.Tell();
  }

  void TellInput() {
    told_.Told(milliseconds(0), steady_clock::now());
    wait_.Tell();
  }

  void EndWatch() {
    if (watch_ == kNoWatch) return;
    // Should it stay after all, what it says is not heard.
    (void)bus_->Call(kMonitor, "RemoveWatch", "u", std::exchange(watch_, kNoWatch));
  }

  Loop& loop_;
  std::unique_ptr<Bus> bus_;  // null or broken: the next reading connects
  Bus::Subscription fired_;
  Bus::Subscription owner_changed_;
  std::uint32_t watch_ = kNoWatch;
  IdleMark told_;
  InputWait wait_;
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> NewMutterPresenceSource(Loop& loop) {
  auto source = std::make_unique<MutterPresenceSource>(loop);
  if (auto idle = source->IdleFor(); !idle) {
    Error error = std::move(idle).error();
    error.code = ErrorCode::kUnavailable;
    return std::unexpected(std::move(error));
  }
  return source;
}

}  // namespace fallow
