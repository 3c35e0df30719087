// The LeaseTable grants shards to devices, takes their results and ends what they do not renew.
//
// Invariants: a request is under at most one live lease; a request is settled once. Both are the
// store's to keep, so that they hold across restarts and coordinators. What is kept here only tunes
// the schedule.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/device_registry.h"
#include "coordinator/core/event_bus.h"
#include "coordinator/core/job_registry.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/store/store.h"

namespace fallow {

class LeaseTable : public LeaseService {
 public:
  LeaseTable(Store& store, ArtifactStore& artifacts, const Clock& clock, Random& random,
             LocalEventBus& events, DeviceRegistry& devices, JobRegistry& jobs,
             const CoordinatorOptions& options)
      : store_(store),
        artifacts_(artifacts),
        clock_(clock),
        random_(random),
        events_(events),
        devices_(devices),
        jobs_(jobs),
        options_(options) {}

  Result<std::optional<LeaseGrant>> Grant(const DeviceId& device,
                                          const LeaseRequest& request) override;
  Result<ReportReply> Report(const DeviceId& device, const ReportRequest& report) override;
  Result<HeartbeatReply> Heartbeat(const DeviceId& device,
                                   const HeartbeatRequest& heartbeat) override;
  Status Release(const DeviceId& device, const ReleaseRequest& release) override;
  Result<std::vector<Lease>> Live() override { return store_.LiveLeases(); }

  // Ends leases whose deadline has passed.
  Status ExpireDue();

 private:
  // What is remembered of a job's schedule, by this process alone.
  struct JobMemory {
    SteadyTime last_granted;  // or first seen
    std::uint64_t last_turn = 0;
    std::optional<SteadyTime> unreadable_since;  // its input
    SteadyTime next_look;                        // if that is so
  };
  struct DeviceMemory {
    SteadyTime last_asked;
    std::size_t implausible_in_a_row = 0;
    std::optional<SteadyTime> paused_until;
  };

  Result<std::vector<JobView>> ViewJobs(const LeaseRequest& request);
  std::size_t LiveDeviceCount();
  Result<std::optional<LeaseGrant>> GrantFrom(const DeviceId& device, const ShardPlan& plan);
  // What becomes of a shard whose input cannot be read.
  Status PutAside(const Job& job, const Lease& lease, const Error& why);
  Status FailRequests(const Job& job, const Lease& lease);
  Result<std::vector<InferenceRequest>> ReadShard(const Job& job,
                                                  const std::vector<Request>& requests);
  Result<std::vector<JudgedAttempt>> Judge(const DeviceId& device, const Lease& lease,
                                           const std::vector<AttemptResult>& results);
  // `plausible`: false for a result that no honest device sends.
  void NotePlausibility(const DeviceId& device, bool plausible);
  void Ended(const std::vector<EndedLease>& leases, std::string_view why);
  void JobProgressed(const JobId& id);

  Store& store_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
  Random& random_;
  LocalEventBus& events_;
  DeviceRegistry& devices_;
  JobRegistry& jobs_;
  const CoordinatorOptions& options_;
  std::map<JobId, JobMemory> job_memory_;
  std::map<AccountId, std::uint64_t> account_turns_;
  std::map<DeviceId, DeviceMemory> device_memory_;
  std::uint64_t turn_ = 0;
};

}  // namespace fallow
