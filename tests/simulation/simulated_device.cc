#include "tests/simulation/simulated_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fallow::simulation {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxHeldRequests = 64;
constexpr std::size_t kMaxResultsAtOnce = 16;
constexpr std::chrono::milliseconds kHeartbeatPeriod = 10s;

}  // namespace

AttemptResult HonestResult(const LeaseId& lease, const InferenceRequest& request) {
  constexpr std::uint64_t kFaultyRequestPeriod = 23;
  AttemptResult result;
  result.attempt = AttemptId(fmt::format("att_{}_{}", lease.value, request.index));
  result.request_index = request.index;
  if (request.index % kFaultyRequestPeriod == kFaultyRequestPeriod - 1) {
    result.error = Error{ErrorCode::kInvalidArgument, "the prompt is longer than the context"};
    return result;
  }
  result.text = "answer to " + request.messages.back().content;
  result.token_ids = {1, 2, static_cast<std::uint32_t>(request.index)};
  result.state_digests = {Sha256::Of(result.text)};
  result.prompt_token_count = 5;
  return result;
}

SimulatedDevice::SimulatedDevice(std::uint64_t number, Dice& dice, SimulationReport& report,
                                 OnAcknowledged on_acknowledged)
    : number_(number),
      dice_(dice),
      report_(report),
      on_acknowledged_(std::move(on_acknowledged)),
      time_per_request_(dice.Between(100, 3000)) {}

void SimulatedDevice::Forget() {
  lease_.reset();
  outbox_.clear();
  computed_ = 0;
  worked_ = 0ms;
}

bool SimulatedDevice::LosesReply(bool trouble) {
  constexpr std::uint64_t kLossChances = 15;
  if (!trouble || !dice_.OneIn(kLossChances)) return false;
  ++report_.lost_replies;
  return true;
}

void SimulatedDevice::MeetTrouble(Coordinator* coordinator, SteadyTime now) {
  constexpr std::uint64_t kDeathChances = 2000, kOutageChances = 1500, kOwnerChances = 800;
  if (dice_.OneIn(kDeathChances)) {
    ++report_.deaths;
    Forget();
    away_until_ = now + std::chrono::seconds(dice_.Between(1, 600));
  } else if (dice_.OneIn(kOutageChances)) {
    ++report_.outages;
    offline_until_ = now + std::chrono::seconds(dice_.Between(1, 300));
  } else if (dice_.OneIn(kOwnerChances)) {
    ++report_.owner_returns;
    // The agent reports what is finished, if it can, and gives the rest back.
    if (coordinator != nullptr && lease_.has_value()) {
      (void)coordinator->leases().Report(id_, {.lease = lease_->lease, .results = outbox_});
      (void)coordinator->leases().Release(id_,
                                          {.lease = lease_->lease, .reason = "the owner is back"});
    }
    Forget();
    away_until_ = now + std::chrono::seconds(dice_.Between(5, 900));
  }
}

Status SimulatedDevice::Enroll(Coordinator& coordinator) {
  EnrollRequest request;
  FALLOW_ASSIGN_OR_RETURN(request.join_token, coordinator.devices().JoinToken());
  request.public_key = Bytes(32, static_cast<std::uint8_t>(number_));
  request.profile.hostname = fmt::format("host{}", number_);
  FALLOW_ASSIGN_OR_RETURN(const Device device, coordinator.devices().Enroll(request));
  if (!id_.empty() && device.id != id_) {
    return Fail(ErrorCode::kInternal,
                fmt::format("{} enrolled again and became {}", id_.value, device.id.value));
  }
  id_ = device.id;
  return {};
}

Status SimulatedDevice::AskForWork(Coordinator& coordinator) {
  LeaseRequest request;
  request.max_request_count = kMaxHeldRequests;
  request.status.tokens_per_second = 3000.0 / static_cast<double>(time_per_request_.count());
  FALLOW_ASSIGN_OR_RETURN(lease_, coordinator.leases().Grant(id_, request));
  if (!lease_.has_value()) return {};
  ++report_.leases;
  // A reply that is lost leaves a lease that nobody knows of.
  constexpr std::uint64_t kLostGrantChances = 40;
  if (dice_.OneIn(kLostGrantChances)) {
    ++report_.lost_replies;
    Forget();
  }
  return {};
}

void SimulatedDevice::Compute(std::chrono::milliseconds step) {
  worked_ += step;
  while (computed_ < lease_->requests.size() && worked_ >= time_per_request_) {
    worked_ -= time_per_request_;
    outbox_.push_back(HonestResult(lease_->lease, lease_->requests[computed_++]));
  }
}

Status SimulatedDevice::Report(Coordinator& coordinator, bool trouble) {
  const std::size_t count = std::min(outbox_.size(), kMaxResultsAtOnce);
  if (count == 0) return {};
  const std::vector<AttemptResult> results(outbox_.begin(),
                                           outbox_.begin() + static_cast<std::ptrdiff_t>(count));
  FALLOW_ASSIGN_OR_RETURN(
      const ReportReply reply,
      coordinator.leases().Report(id_, {.lease = lease_->lease, .results = results}));
  ++report_.reports;
  if (LosesReply(trouble)) return {};  // and says it again next time
  if (!reply.lease_live) {
    Forget();
    return {};
  }
  on_acknowledged_(lease_->job, results);
  outbox_.erase(outbox_.begin(), outbox_.begin() + static_cast<std::ptrdiff_t>(count));
  if (outbox_.empty() && computed_ == lease_->requests.size()) Forget();
  return {};
}

Status SimulatedDevice::Heartbeat(Coordinator& coordinator, SteadyTime now, bool trouble) {
  if (now - last_heartbeat_ < kHeartbeatPeriod) return {};
  last_heartbeat_ = now;
  HeartbeatRequest request;
  if (lease_.has_value()) request.leases.push_back(lease_->lease);
  FALLOW_ASSIGN_OR_RETURN(const HeartbeatReply reply, coordinator.leases().Heartbeat(id_, request));
  if (!LosesReply(trouble) && !reply.ended_leases.empty()) Forget();
  return {};
}

Status SimulatedDevice::Live(Coordinator* coordinator, SteadyTime now,
                             std::chrono::milliseconds step, bool trouble) {
  if (trouble) {
    if (now < away_until_) return {};
    MeetTrouble(now < offline_until_ ? nullptr : coordinator, now);
    if (now < away_until_) return {};
  }
  if (lease_.has_value()) Compute(step);
  if (coordinator == nullptr || (trouble && now < offline_until_)) return {};
  if (id_.empty()) FALLOW_RETURN_IF_ERROR(Enroll(*coordinator));
  if (!lease_.has_value()) FALLOW_RETURN_IF_ERROR(AskForWork(*coordinator));
  if (lease_.has_value()) FALLOW_RETURN_IF_ERROR(Report(*coordinator, trouble));
  return Heartbeat(*coordinator, now, trouble);
}

}  // namespace fallow::simulation
