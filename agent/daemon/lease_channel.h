// Everything the coordinator hears of one lease: finished requests, coalesced and repeated until
// acknowledged, then the release of what is left.
//
// Invariant: a result keeps its attempt id over every retry, and is forgotten only when the
// coordinator has it, the lease has ended, or it has been unreachable for longer than results are
// kept. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/daemon/backoff.h"
#include "agent/daemon/coordinator_client.h"
#include "base/clock.h"
#include "platform/loop.h"
#include "protocol/agent_messages.h"

namespace fallow {

struct LeaseChannelOptions {
  // Between the starts of two reports: what finishes meanwhile goes together, for one disk sync at
  // the coordinator.
  std::chrono::milliseconds report_period{200};
  std::chrono::milliseconds first_retry{500};
  std::chrono::milliseconds max_retry{15'000};
  // A coordinator that restarts is back within minutes; longer, and the work is better done anew.
  std::chrono::milliseconds result_patience{900'000};
  // A release only spares the others the lease's expiry.
  std::chrono::milliseconds release_patience{60'000};
};

class LeaseChannel {
 public:
  struct Events {
    std::function<DeviceStatus()> status;  // what to say of the device
    std::function<void()>
        on_ended;  // the lease is not live: nothing more should be computed for it
    std::function<void()>
        on_closed;  // after Close: all is said or given up; the channel may be destroyed
    std::function<void(const Status&)> on_contact;  // how each call went, for the device page
  };

  // `loop`, `clock`, `random` and `client` must outlive the channel.
  LeaseChannel(Loop& loop, const Clock& clock, Random& random, CoordinatorClient& client,
               LeaseId lease, LeaseChannelOptions options, Events events);

  void Add(AttemptResult result);
  // After what has been added is acknowledged: releases the lease, if a reason is given; then
  // on_closed.
  void Close(std::optional<std::string> release_reason);

  bool ended() const { return ended_; }
  std::size_t unacknowledged_count() const { return queue_.size(); }

 private:
  void Pump();
  void SendReport();
  void SendRelease();
  void OnReported(Result<ReportReply> reply);
  void OnReleased(Status status);
  void RetryLater();
  void End();
  void FinishClosing();

  Loop& loop_;
  const Clock& clock_;
  CoordinatorClient& client_;
  const LeaseId lease_;
  const LeaseChannelOptions options_;
  Events events_;
  Backoff backoff_;

  std::deque<AttemptResult> queue_;  // not acknowledged, oldest first
  std::size_t sent_count_ = 0;       // of the queue's front, in the report in flight
  bool in_flight_ = false;
  bool ended_ = false;
  bool closing_ = false;
  bool closed_ = false;
  std::optional<std::string> release_reason_;
  SteadyTime next_report_at_{};
  SteadyTime last_heard_;  // when the coordinator last answered
  SteadyTime closing_since_{};
  CoordinatorClient::Call call_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace fallow
