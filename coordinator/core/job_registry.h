// The jobs: made, validated, cancelled, expired, assembled. Long work goes through the task queue.
#pragma once

#include <chrono>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/event_bus.h"
#include "coordinator/core/task_queue.h"
#include "coordinator/store/store.h"

namespace fallow {

class JobRegistry : public JobService {
 public:
  JobRegistry(Loop& loop, Store& store, ArtifactStore& artifacts, const Clock& clock,
              Random& random, LocalEventBus& events, const CoordinatorOptions& options)
      : store_(store),
        artifacts_(artifacts),
        clock_(clock),
        random_(random),
        events_(events),
        options_(options),
        tasks_(loop) {}

  Result<Job> Create(const NewJob& job) override;
  Result<Job> Get(const AccountId& account, const JobId& id) override;
  Result<Job> GetAny(const JobId& id) override;
  Result<Page<Job>> List(const AccountId& account, const PageRequest& page) override;
  Result<Page<Job>> ListAll(const PageRequest& page) override;
  Result<Job> Cancel(const AccountId& account, const JobId& id) override;
  Result<std::vector<RequestView>> Requests(const AccountId& account, const JobId& id,
                                            std::uint64_t first, std::size_t count) override;

  // Takes up validations and assemblies that the store knows as unfinished. Once, at the start.
  Status Resume();
  // Ends jobs past their time.
  Status ExpireDue();
  // The last request is settled: writes the job's files.
  void Finalize(const JobId& id);

 private:
  Result<Page<Job>> ListOf(const std::optional<AccountId>& account, const PageRequest& page);
  void Validate(const Job& job);
  void Assemble(const Job& job);
  void Changed(const Job& job) { events_.Publish(JobChanged{job.id, job.account}); }

  Store& store_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
  Random& random_;
  LocalEventBus& events_;
  const CoordinatorOptions& options_;
  TaskQueue tasks_;
};

}  // namespace fallow
