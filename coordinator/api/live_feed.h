// The LiveFeed knows how jobs are getting on and tells whoever watches, by server-sent events.
//
// Changes of one thing are gathered, so a watcher hears of it at most four times a second; a
// watcher that cannot keep up gets a snapshot when it has caught up. Threading: the coordinator's
// loop.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "coordinator/api/views.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/http/server.h"
#include "platform/loop.h"

namespace fallow::api {

// How fast a job goes: tokens it had generated (or read for vectors) at moments of the last 10 s.
// What came before the first results of these (validating, waiting for a device, loading the model)
// does not slow it down.
class JobRate {
 public:
  static constexpr std::chrono::seconds kWindow{10};
  void Sample(SteadyTime now, std::uint64_t token_count);
  double TokensPerSecond(SteadyTime now) const;
  // The first results say too little of those to come to tell when the job ends.
  bool foretells(SteadyTime now) const {
    return first_results_at_.has_value() && now - *first_results_at_ >= std::chrono::seconds(1);
  }

 private:
  struct Moment {
    SteadyTime at;
    std::uint64_t token_count = 0;
  };
  std::deque<Moment>
      moments_;  // the first may be older than the window: the count with which it began
  std::optional<SteadyTime> first_results_at_;
};

class LiveFeed {
 public:
  LiveFeed(Loop& loop, const Clock& clock, Coordinator& coordinator);

  // Jobs as the admin API shows them, with progress.
  Json JobJson(const Job& job);
  Json JobsJson(const std::vector<Job>& jobs);
  Result<Json> DevicesJson();

  // Answers with an event stream; `still_valid` is asked now and then whether the watcher may stay.
  void Watch(const ApiKey& key, std::function<bool()> still_valid,
             std::shared_ptr<http::Responder> responder);
  // Ends all streams.
  void Stop();

 private:
  struct Watcher {
    ApiKey key;
    std::function<bool()> still_valid;
    std::shared_ptr<http::Responder> responder;
    bool behind = false;  // missed something; a snapshot is due when it can be written to
  };
  using LeasesByJob = std::map<JobId, std::set<DeviceId>>;

  void OnEvent(const Event& event);
  void Flush();
  void Tick();
  void KeepAlive();
  Json JobJson(const Job& job, const LeasesByJob& working);
  LeasesByJob WorkingDevices() const;
  void PublishJob(const JobId& id, const AccountId& account, const LeasesByJob& working);
  void PublishDevice(const DeviceId& id, const std::vector<Lease>& leases);
  void Publish(std::string_view event, const Json& data,
               const std::function<bool(const Watcher&)>& for_whom);
  void SendSnapshot(Watcher& watcher);
  void Drop(const Watcher* watcher);

  Loop& loop_;
  const Clock& clock_;
  Coordinator& coordinator_;
  std::list<std::unique_ptr<Watcher>> watchers_;
  std::map<JobId, JobRate> rates_;  // of jobs that are not final
  std::map<JobId, AccountId> changed_jobs_;
  std::set<DeviceId> changed_devices_;
  std::map<JobId, AccountId>
      moving_jobs_;  // shown with a rate, which fades although nothing happens
  std::map<DeviceId, bool> shown_offline_;
  std::unique_ptr<Timer> flush_, tick_, keep_alive_;
  std::unique_ptr<Subscription> subscription_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // outlives us in callbacks of replies
};

}  // namespace fallow::api
