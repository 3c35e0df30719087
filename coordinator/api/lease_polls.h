// Agents that wait for work. Work that appears is offered to them in the order they came, a few at
// a time, so that a thousand waiting devices cost the loop no more than the leases they get.
//
// Invariants: nobody is offered work whose client has gone; a device waits once, so that a
// connection which broke unseen takes no work from the one that replaced it. Threading: the
// coordinator's loop.
#pragma once

#include <list>
#include <memory>

#include "coordinator/core/coordinator.h"
#include "coordinator/http/server.h"
#include "platform/loop.h"
#include "protocol/agent_messages.h"

namespace fallow::api {

class LeasePolls {
 public:
  LeasePolls(Loop& loop, DeviceService& devices, LeaseService& leases, EventBus& events);

  // Answers at once if there is work, else when there is, or with none after the request's wait.
  void Ask(const DeviceId& device, LeaseRequest request,
           std::shared_ptr<http::Responder> responder);
  // Everybody who waits is told that there is no work.
  void Stop();
  std::size_t waiting_count() const { return waiting_.size(); }

 private:
  struct Poll {
    DeviceId device;
    LeaseRequest request;
    std::shared_ptr<http::Responder> responder;
    std::unique_ptr<Timer> timer;
    std::uint64_t offered_in_pass = 0;
  };
  using Waiting = std::list<std::unique_ptr<Poll>>;

  enum class Offer { kAnswered, kNoWork };
  Offer OfferTo(Poll& poll);
  void Forget(const Poll* poll);
  void EndOlder(const DeviceId& device);
  void TakeNewestStatus(Poll& poll);
  void StartPass();
  void ContinuePass();

  Loop& loop_;
  DeviceService& devices_;
  LeaseService& leases_;
  Waiting waiting_;
  std::uint64_t pass_ = 0;
  bool pass_running_ = false;
  bool stopped_ = false;
  std::shared_ptr<bool> alive_;  // outlives us in posted calls
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace fallow::api
