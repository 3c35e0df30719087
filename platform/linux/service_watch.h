// Services on a bus as a source sees them: asked once, and again after what they tell may have
// changed.
//
// They may be absent, come, go and hang, and the bus may end: each is an error of the answer, and
// each passes by itself. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "platform/linux/bus.h"
#include "platform/loop.h"

namespace fallow {

// How long a bus or a service that did not answer, or has not what it is asked for, is left alone.
inline constexpr std::chrono::milliseconds kServiceRetry{5'000};

class ServiceWatch {
 public:
  // A signal after which the service is to be asked anew. `interface` alone, without a member: any
  // of its properties.
  struct Change {
    BusObject object;
    std::string member;
  };

  // The services of `changes` are watched for their coming and going. `loop` is a MainLoop that
  // outlives the watch. What did not answer is left alone for `retry`, and a lost connection is
  // made anew no sooner than that after it was made.
  ServiceWatch(Loop& loop, Bus::Which which, std::vector<Change> changes,
               std::chrono::milliseconds retry = kServiceRetry);
  ~ServiceWatch();
  ServiceWatch(const ServiceWatch&) = delete;
  ServiceWatch& operator=(const ServiceWatch&) = delete;

  // Calls `ask` if what it found last may have changed, with a bus whose calls all together, and
  // its opening, take no longer than kBusPatience. Returns the bus's error, or what `ask` returned
  // now or last.
  const Status& Refresh(const std::function<Status(Bus&)>& ask);
  // The next Refresh asks, though nobody told of a change.
  void AskAnew() { changed_ = true; }
  bool connected() const { return bus_ != nullptr; }

  // `fn` is called, from the loop, when a Refresh may find something new.
  void OnChange(std::function<void()> fn) { on_change_ = std::move(fn); }

 private:
  Status Connect(std::chrono::steady_clock::time_point now);
  Status Subscribe();
  void Changed();
  void Tell();

  Loop& loop_;
  const Bus::Which which_;
  const std::vector<Change> changes_;
  const std::chrono::milliseconds retry_after_;
  std::function<void()> on_change_;
  std::unique_ptr<Bus> bus_;
  std::optional<std::chrono::steady_clock::time_point> opened_;
  std::vector<Bus::Subscription> subscriptions_;
  Status status_;
  bool changed_ = true;
  std::unique_ptr<Timer> retry_;  // while it runs, nobody is asked
  bool tell_posted_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // posted calls look here first
};

// One value that services tell.
template <class T>
class WatchedValue {
 public:
  using Ask = std::function<Result<T>(Bus&)>;
  WatchedValue(Loop& loop, Bus::Which which, std::vector<ServiceWatch::Change> changes, Ask ask)
      : watch_(loop, which, std::move(changes)), ask_(std::move(ask)) {}

  // What they told last, or why nobody tells.
  Result<T> Get() {
    FALLOW_RETURN_IF_ERROR(watch_.Refresh([this](Bus& bus) -> Status {
      FALLOW_ASSIGN_OR_RETURN(value_, ask_(bus));
      return {};
    }));
    return value_;
  }
  // The next Get asks, though nobody told of a change.
  void AskAnew() { watch_.AskAnew(); }
  bool connected() const { return watch_.connected(); }
  void OnChange(std::function<void()> fn) { watch_.OnChange(std::move(fn)); }

 private:
  ServiceWatch watch_;
  Ask ask_;
  T value_{};  // valid if the watch's status is
};

}  // namespace fallow
