#include "agent/daemon/sleep_follower.h"

#include <utility>

#include "base/log.h"

namespace fallow {

SleepFollower::SleepFollower(Loop& loop, const Clock& clock, Open open, Events events)
    : loop_(loop),
      events_(std::move(events)),
      source_(clock,
              {{.absent = {.source = "logind", .known = false, .preparing = false, .detail = {}},
                .open = std::move(open)}}) {
  source_.OnOpen(
      [this](std::size_t, SleepWatch& watch) { watch.OnChange([this] { FollowSoon(); }); });
}

void SleepFollower::Look() {
  const SleepReading reading = source_.Read().front();
  NoteTrouble(reading);
  if (reading.preparing != asleep_) FollowSoon();
}

void SleepFollower::FollowSoon() {
  if (std::exchange(posted_, true)) return;
  // Not from inside a call of the source, which a look may close, nor of whoever looks.
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    posted_ = false;
    Follow();
  });
}

void SleepFollower::Follow() {
  // A source that is lost for good says nothing of sleep: the machine counts as awake again.
  const SleepReading reading = source_.Read().front();
  NoteTrouble(reading);
  if (std::exchange(asleep_, reading.preparing) == reading.preparing) return;
  if (!reading.preparing) return events_.on_wake();
  events_.on_sleep([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    source_.ForEach([](std::size_t, SleepWatch& watch) { watch.Ready(); });
  });
}

void SleepFollower::NoteTrouble(const SleepReading& reading) {
  if (std::exchange(trouble_told_, !reading.known) == !reading.known) return;
  if (reading.known) {
    LOG_INFO("agent: the machine's sleep is noticed");
  } else {
    LOG_INFO("agent: the machine's sleep is not noticed: {}", reading.detail);
  }
}

}  // namespace fallow
