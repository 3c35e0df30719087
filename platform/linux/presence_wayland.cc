// Presence by a Wayland compositor's idle clock. The protocols tell no idle time: they say when a
// seat has been idle for a time we choose, and when it is in use again.
//
// The socket is looked at when somebody reads or waits for input, else not: an owner who types must
// not wake us. So a seat may seem to be idle for a shorter time than it was, by the time between
// two readings, never for a longer one.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <utility>

#include "platform/linux/input_wait.h"
#include "platform/linux/wayland_idle_seats.h"
#include "platform/presence.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

using std::chrono::steady_clock;

// A compositor that floods us is left alone for so long.
constexpr std::chrono::seconds kDistrustedFor{60};

class WaylandPresenceSource : public PresenceSource {
 public:
  WaylandPresenceSource(Loop& loop, std::string display)
      : loop_(loop), display_(std::move(display)), wait_(loop) {}

  std::string name() const override { return "wayland " + display_; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(seats_, WaylandIdleSeats::Open(display_));
    return {};
  }

  PresenceReading Read() override {
    PresenceReading reading{.source = name()};
    const Status answered = Ask();
    wait_.ToldByReading();
    if (!answered) {
      reading.detail = answered.error().message;
      if (steady_clock::now() < distrusted_until_) reading.kind = PresenceKind::kDistrusted;
      return reading;
    }
    if (const auto idle = seats_->IdleFor(steady_clock::now())) {
      reading.known = true;
      reading.idle_for = *idle;
      reading.detail = seats_->Describe();
    } else {
      reading.detail = idle.error().message;
    }
    return reading;
  }

  bool AwaitInput(std::function<void()> on_input) override {
    watch_.reset();
    wait_.Set(std::move(on_input));
    if (!wait_.active()) return true;
    if (CanTell()) {
      // Nothing tells the next input to a seat in use: let the caller see that it is.
      if (seats_->IdleFor(steady_clock::now())->count() == 0) wait_.Tell();
      if (wait_.active())
        watch_ = WatchDescriptor(loop_, seats_->connection().descriptor(), [this] { OnEvents(); });
      return true;
    }
    wait_.Set(nullptr);
    return false;
  }

 private:
  // Connects if need be. An error: what it knows now is not to be used.
  Status Ask() {
    if (seats_ == nullptr) {
      if (steady_clock::now() < distrusted_until_) return std::unexpected(distrust_);
      // This reading may be the one that finds the compositor again.
      const Status opened = Open();
      if (!opened) OnFailure(opened.error());
      return opened;
    }
    // Even one that has nothing to tell must answer: its clock stands still if it hangs.
    const Status answered = seats_->connection().Roundtrip();
    if (answered) {
      TellIfUsed();
    } else {
      OnFailure(answered.error());
    }
    return answered;
  }

  // As of now: whoever waits is told of what came since the last reading.
  bool CanTell() {
    if (seats_ == nullptr) return false;
    if (const Status heard = seats_->connection().Dispatch(); !heard) {
      OnFailure(heard.error());
      return false;
    }
    TellIfUsed();
    return seats_->IdleFor(steady_clock::now()).has_value();
  }

  void OnEvents() {
    const Status heard = seats_->connection().Dispatch();
    if (heard) {
      TellIfUsed();
    } else {
      OnFailure(heard.error());
    }
  }

  void TellIfUsed() {
    if (!seats_->TakeInput()) return;
    watch_.reset();
    wait_.Tell();
  }

  // Whoever waits is told. One that is only late keeps its connection, and with it its clock.
  void OnFailure(const Error& error) {
    watch_.reset();
    wait_.Tell();
    if (error.code == ErrorCode::kDeadlineExceeded) return;
    if (error.code == ErrorCode::kResourceExhausted) {
      distrust_ = error;
      distrusted_until_ = steady_clock::now() + kDistrustedFor;
    }
    seats_.reset();
  }

  Loop& loop_;
  std::string display_;
  std::unique_ptr<WaylandIdleSeats> seats_;  // null: the next reading connects
  Error distrust_;                           // why, until distrusted_until_
  steady_clock::time_point distrusted_until_{};
  InputWait wait_;
  std::unique_ptr<DescriptorWatch> watch_;  // goes before the connection; while somebody waits
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> NewWaylandPresenceSource(Loop& loop,
                                                                 const std::string& display) {
  auto source = std::make_unique<WaylandPresenceSource>(loop, display);
  if (Status opened = source->Open(); !opened) {
    Error error = std::move(opened).error();
    if (error.code != ErrorCode::kInvalidArgument) error.code = ErrorCode::kUnavailable;
    return std::unexpected(std::move(error));
  }
  return source;
}

}  // namespace fallow
