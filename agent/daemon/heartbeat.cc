#include "agent/daemon/heartbeat.h"

#include <utility>

namespace fallow {

Heartbeat::Heartbeat(Loop& loop, CoordinatorClient& client, Events events)
    : loop_(loop), client_(client), events_(std::move(events)) {}

void Heartbeat::Send() {
  if (in_flight_) {
    due_ = true;
    return;
  }
  in_flight_ = true;
  call_ = client_.Heartbeat(events_.make(),
                            [this](Result<HeartbeatReply> reply) { OnReply(std::move(reply)); });
  Schedule();
}

void Heartbeat::Schedule() {
  timer_ = loop_.After(events_.period(), [this] { Send(); });
}

void Heartbeat::OnReply(Result<HeartbeatReply> reply) {
  in_flight_ = false;
  events_.on_reply(std::move(reply));
  if (std::exchange(due_, false)) Send();
}

}  // namespace fallow
