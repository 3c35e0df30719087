// The device's sign of life to the coordinator: each period, and at once when something changed.
//
// One call at a time: what changes during one is told by another right after it. Threading: the
// loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "agent/daemon/coordinator_client.h"
#include "platform/loop.h"

namespace fallow {

class Heartbeat {
 public:
  struct Events {
    std::function<HeartbeatRequest()> make;             // what is to be told now
    std::function<std::chrono::milliseconds()> period;  // until the next
    std::function<void(Result<HeartbeatReply>)> on_reply;
  };

  // Both must outlive it.
  Heartbeat(Loop& loop, CoordinatorClient& client, Events events);

  void Send();
  // The next comes a period from now.
  void Schedule();
  // Something is on its way, or is still to be told.
  bool busy() const { return in_flight_ || due_; }

 private:
  void OnReply(Result<HeartbeatReply> reply);

  Loop& loop_;
  CoordinatorClient& client_;
  const Events events_;
  CoordinatorClient::Call call_;
  bool in_flight_ = false;
  bool due_ = false;
  std::unique_ptr<Timer> timer_;
};

}  // namespace fallow
