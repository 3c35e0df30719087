#include "coordinator/core/event_bus.h"

#include <chrono>
#include <cstdint>
#include <utility>

namespace fallow {

struct LocalEventBus::Subscribers {
  std::map<std::uint64_t, std::shared_ptr<std::function<void(const Event&)>>> by_number;
  std::uint64_t last_number = 0;
};

class LocalEventBus::LocalSubscription : public Subscription {
 public:
  LocalSubscription(std::shared_ptr<Subscribers> subscribers, std::uint64_t number)
      : subscribers_(std::move(subscribers)), number_(number) {}
  ~LocalSubscription() override { subscribers_->by_number.erase(number_); }

 private:
  std::shared_ptr<Subscribers> subscribers_;
  std::uint64_t number_;
};

LocalEventBus::LocalEventBus(Loop& loop)
    : loop_(loop), subscribers_(std::make_shared<Subscribers>()) {}

LocalEventBus::~LocalEventBus() = default;

std::unique_ptr<Subscription> LocalEventBus::Subscribe(std::function<void(const Event&)> on_event) {
  const std::uint64_t number = ++subscribers_->last_number;
  subscribers_->by_number.emplace(
      number, std::make_shared<std::function<void(const Event&)>>(std::move(on_event)));
  return std::make_unique<LocalSubscription>(subscribers_, number);
}

void LocalEventBus::Publish(Event event) {
  events_.push_back(std::move(event));
  if (delivery_ == nullptr)
    delivery_ = loop_.After(std::chrono::milliseconds(0), [this] { Deliver(); });
}

void LocalEventBus::Deliver() {
  const std::unique_ptr<Timer> done = std::move(delivery_);
  std::deque<Event> events = std::exchange(events_, {});
  const std::shared_ptr<Subscribers> subscribers = subscribers_;
  for (const Event& event : events) {
    // A callback may end its own or another subscription, or make a new one that this event is not
    // for.
    const std::uint64_t last = subscribers->last_number;
    for (auto it = subscribers->by_number.begin();
         it != subscribers->by_number.end() && it->first <= last;) {
      const std::uint64_t number = it->first;
      const auto on_event = it->second;
      (*on_event)(event);
      it = subscribers->by_number.upper_bound(number);
    }
  }
}

}  // namespace fallow
