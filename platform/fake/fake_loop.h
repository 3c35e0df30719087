// A loop whose time a test turns by hand.
//
// Timers run in the order of their deadlines (equal ones in the order of their making); posted
// calls and blocking work run at the next turn, work inline. Threading: as Loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "platform/fake/clock.h"
#include "platform/loop.h"

namespace fallow {

class FakeLoop : public Loop {
 public:
  // `clock` must outlive the loop; its steady time is the loop's.
  explicit FakeLoop(SimulatedClock& clock) : clock_(clock) {}

  std::unique_ptr<Timer> After(std::chrono::milliseconds delay, std::function<void()> fn) override;
  std::unique_ptr<Timer> Every(std::chrono::milliseconds period, std::function<void()> fn) override;
  void Post(std::function<void()> fn) override;
  void Blocking(std::function<void()> work, std::function<void()> done) override;

  // Runs what is posted and due until nothing is left. A chain that does not end within kMaxTurns
  // is a broken test.
  void RunPending();
  // Lets `duration` pass: the clock stands at each timer's deadline when it runs.
  void Advance(std::chrono::milliseconds duration);

  std::size_t timer_count() const { return timers_.size(); }
  // When the next timer is due, counted from now.
  std::optional<std::chrono::milliseconds> UntilNextTimer() const;

  static constexpr int kMaxTurns = 100'000;

 private:
  class FakeTimer;
  using TimerKey = std::pair<SteadyTime, std::uint64_t>;  // deadline, then order of making
  struct Entry {
    std::shared_ptr<std::function<void()>> fn;
    std::chrono::milliseconds period{0};
    FakeTimer* owner = nullptr;
  };

  std::unique_ptr<Timer> Start(std::chrono::milliseconds delay, std::chrono::milliseconds period,
                               std::function<void()> fn);
  bool RunPosted();
  bool RunOneDueTimer();

  SimulatedClock& clock_;
  std::map<TimerKey, Entry> timers_;
  std::uint64_t made_ = 0;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

}  // namespace fallow
