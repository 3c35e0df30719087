#include "platform/fake/fake_loop.h"

#include <algorithm>

#include "base/check.h"

namespace fallow {

class FakeLoop::FakeTimer : public Timer {
 public:
  explicit FakeTimer(FakeLoop& loop) : loop_(loop) {}
  ~FakeTimer() override {
    if (scheduled) loop_.timers_.erase(key);
  }
  FakeTimer(const FakeTimer&) = delete;
  FakeTimer& operator=(const FakeTimer&) = delete;

  TimerKey key;
  bool scheduled = false;

 private:
  FakeLoop& loop_;
};

std::unique_ptr<Timer> FakeLoop::Start(std::chrono::milliseconds delay,
                                       std::chrono::milliseconds period, std::function<void()> fn) {
  auto timer = std::make_unique<FakeTimer>(*this);
  timer->key = {clock_.Steady() + std::max(delay, std::chrono::milliseconds(0)), made_++};
  timer->scheduled = true;
  timers_[timer->key] = {.fn = std::make_shared<std::function<void()>>(std::move(fn)),
                         .period = period,
                         .owner = timer.get()};
  return timer;
}

std::unique_ptr<Timer> FakeLoop::After(std::chrono::milliseconds delay, std::function<void()> fn) {
  return Start(delay, std::chrono::milliseconds(0), std::move(fn));
}

std::unique_ptr<Timer> FakeLoop::Every(std::chrono::milliseconds period, std::function<void()> fn) {
  FALLOW_CHECK(period.count() > 0);
  return Start(period, period, std::move(fn));
}

void FakeLoop::Post(std::function<void()> fn) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(fn));
}

void FakeLoop::Blocking(std::function<void()> work, std::function<void()> done) {
  Post([work = std::move(work), done = std::move(done)] {
    work();
    if (done) done();
  });
}

bool FakeLoop::RunPosted() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(posted_);
  }
  for (const auto& call : calls) call();
  return !calls.empty();
}

bool FakeLoop::RunOneDueTimer() {
  if (timers_.empty() || timers_.begin()->first.first > clock_.Steady()) return false;
  auto node = timers_.extract(timers_.begin());
  const auto fn = node.mapped().fn;
  FakeTimer* owner = node.mapped().owner;
  if (node.mapped().period.count() > 0) {
    owner->key = {owner->key.first + node.mapped().period, made_++};
    node.key() = owner->key;
    timers_.insert(std::move(node));
  } else {
    owner->scheduled = false;
  }
  (*fn)();
  return true;
}

void FakeLoop::RunPending() {
  for (int turn = 0; turn < kMaxTurns; ++turn) {
    if (!RunPosted() && !RunOneDueTimer()) return;
  }
  FALLOW_CHECK(!"FakeLoop: endless work at one moment");
}

void FakeLoop::Advance(std::chrono::milliseconds duration) {
  const SteadyTime end = clock_.Steady() + duration;
  RunPending();
  while (!timers_.empty() && timers_.begin()->first.first <= end) {
    clock_.Advance(
        std::max(timers_.begin()->first.first - clock_.Steady(), SteadyTime::duration{0}));
    RunPending();
  }
  if (clock_.Steady() < end) clock_.Advance(end - clock_.Steady());
  RunPending();
}

std::optional<std::chrono::milliseconds> FakeLoop::UntilNextTimer() const {
  if (timers_.empty()) return std::nullopt;
  return std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first -
                                                      clock_.Steady());
}

}  // namespace fallow
