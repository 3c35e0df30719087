#include "coordinator/api/lease_polls.h"

#include <algorithm>

#include "coordinator/http/error_response.h"

namespace fallow::api {
namespace {

// Offers per turn of the loop: each is a few store queries.
constexpr int kOffersPerTurn = 8;

http::Response Reply(const LeaseReply& reply) {
  const Bytes body = Encode(reply);
  return {.status = 200,
          .headers = {{"content-type", "application/x-protobuf"}},
          .body = std::string(AsText(body))};
}

}  // namespace

LeasePolls::LeasePolls(Loop& loop, DeviceService& devices, LeaseService& leases, EventBus& events)
    : loop_(loop), devices_(devices), leases_(leases), alive_(std::make_shared<bool>(true)) {
  subscription_ = events.Subscribe([this](const Event& event) {
    if (std::holds_alternative<WorkAvailable>(event)) StartPass();
  });
}

void LeasePolls::Ask(const DeviceId& device, LeaseRequest request,
                     std::shared_ptr<http::Responder> responder) {
  EndOlder(device);
  auto poll = std::make_unique<Poll>();
  poll->device = device;
  poll->request = std::move(request);
  poll->responder = std::move(responder);
  if (OfferTo(*poll) == Offer::kAnswered) return;
  if (stopped_ || poll->request.wait.count() == 0) {
    poll->responder->Send(Reply({}));
    return;
  }
  Poll* waiting = poll.get();
  waiting_.push_back(std::move(poll));
  const std::weak_ptr<bool> alive = alive_;
  waiting->responder->OnGone([this, waiting, alive] {
    if (!alive.expired()) Forget(waiting);
  });
  waiting->timer = loop_.After(waiting->request.wait, [this, waiting] {
    const auto held = waiting->responder;
    Forget(waiting);
    held->Send(Reply({}));
  });
}

void LeasePolls::Stop() {
  stopped_ = true;
  Waiting ending = std::exchange(waiting_, {});
  for (const auto& poll : ending) poll->responder->Send(Reply({}));
}

LeasePolls::Offer LeasePolls::OfferTo(Poll& poll) {
  if (poll.responder->gone()) return Offer::kAnswered;
  auto grant = leases_.Grant(poll.device, poll.request);
  if (!grant.has_value()) {
    poll.responder->Send(http::ErrorResponse(grant.error()));
    return Offer::kAnswered;
  }
  if (!grant->has_value()) return Offer::kNoWork;
  poll.responder->Send(Reply({.grant = **std::move(grant)}));
  return Offer::kAnswered;
}

void LeasePolls::Forget(const Poll* poll) {
  std::erase_if(waiting_, [poll](const auto& held) { return held.get() == poll; });
}

void LeasePolls::EndOlder(const DeviceId& device) {
  const auto older =
      std::ranges::find_if(waiting_, [&](const auto& poll) { return poll->device == device; });
  if (older == waiting_.end()) return;
  const auto poll = std::move(*older);
  waiting_.erase(older);
  poll->responder->Send(Reply({}));
}

// What the device said of itself since it asked counts more than what it said then.
void LeasePolls::TakeNewestStatus(Poll& poll) {
  const auto known = devices_.Find(poll.device);
  if (known.has_value() && known->has_value()) poll.request.status = (*known)->status;
}

void LeasePolls::StartPass() {
  ++pass_;
  if (pass_running_ || waiting_.empty()) return;
  pass_running_ = true;
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) ContinuePass();
  });
}

void LeasePolls::ContinuePass() {
  for (int offers = 0; offers < kOffersPerTurn; ++offers) {
    const auto next = std::ranges::find_if(
        waiting_, [this](const auto& poll) { return poll->offered_in_pass != pass_; });
    if (next == waiting_.end()) {
      pass_running_ = false;
      return;
    }
    // Out of the list while it is offered work: the reply may call us back.
    auto poll = std::move(*next);
    const auto place = waiting_.erase(next);
    poll->offered_in_pass = pass_;
    TakeNewestStatus(*poll);
    if (OfferTo(*poll) == Offer::kNoWork) waiting_.insert(place, std::move(poll));
  }
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) ContinuePass();
  });
}

}  // namespace fallow::api
