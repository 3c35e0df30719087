// The EventBus in memory: calls subscribers on the loop, one turn after the change.
//
// Threading: the loop. Subscribing and ending a subscription from inside a callback is fine.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "coordinator/core/coordinator.h"
#include "platform/loop.h"

namespace fallow {

class LocalEventBus : public EventBus {
 public:
  explicit LocalEventBus(Loop& loop);
  ~LocalEventBus() override;

  std::unique_ptr<Subscription> Subscribe(std::function<void(const Event&)> on_event) override;
  // Call after the change is durable. Delivered later, in order.
  void Publish(Event event);

 private:
  struct Subscribers;
  class LocalSubscription;
  void Deliver();

  Loop& loop_;
  std::shared_ptr<Subscribers> subscribers_;  // shared: a subscription may outlive the bus
  std::deque<Event> events_;
  std::unique_ptr<Timer> delivery_;
};

}  // namespace fallow
