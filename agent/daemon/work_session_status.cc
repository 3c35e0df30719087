// What a work session tells of itself: to the coordinator and to the owner.
#include <fmt/format.h>

#include <algorithm>

#include "agent/daemon/work_session.h"

namespace fallow {

DeviceStatus WorkSession::status() const {
  DeviceStatus status{.state = stop_state_,
                      .reason = reason_,
                      .tokens_per_second = meter_.tokens_per_second(),
                      .embedding_tokens_per_second = meter_.embedding_tokens_per_second(),
                      .yields = options_.yields ? options_.yields() : std::nullopt};
  if (!allowed_) return status;
  if (refused_ || failures_in_a_row_ >= options_.faulty_after) {
    status.state = DeviceState::kFaulty;
    status.reason = trouble_;
    return status;
  }
  const auto is_in_worker = [](const Held& held) { return held.phase == Phase::kInWorker; };
  if (std::ranges::any_of(leases_, is_in_worker)) {
    status.state = DeviceState::kWorking;
    status.reason = fmt::format("{}; {} requests in hand", reason_, UnfinishedCount());
    return status;
  }
  status.state = DeviceState::kIdle;
  for (const Held& held : leases_) {
    if (held.phase == Phase::kFetching && held.fetch) {
      status.reason = fmt::format("{}; fetching model {} ({} %)", reason_, held.model.model.value,
                                  held.fetch->received_bytes() * 100 / held.model.size_bytes);
      return status;
    }
  }
  if (!trouble_.empty()) {
    status.reason = fmt::format("{}; {}", reason_, trouble_);
  } else if (!worker_.ready()) {
    status.reason = reason_ + "; starting the worker";
  } else if (std::ranges::any_of(leases_,
                                 [](const Held& held) { return held.phase != Phase::kClosing; })) {
    status.reason = reason_ + "; loading the model";
  } else {
    status.reason = reason_ + "; waiting for work";
  }
  return status;
}

std::vector<WorkSession::LeaseView> WorkSession::leases() const {
  std::vector<LeaseView> views;
  for (const Held& held : leases_) {
    views.push_back({.lease = held.lease,
                     .job = held.job,
                     .model = held.model.model,
                     .request_count = held.request_count,
                     .unfinished_count = held.unfinished.size(),
                     .unacknowledged_count = held.channel->unacknowledged_count(),
                     .releasing = held.phase == Phase::kClosing});
  }
  return views;
}

}  // namespace fallow
