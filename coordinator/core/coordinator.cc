#include "coordinator/core/coordinator.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/device_registry.h"
#include "coordinator/core/event_bus.h"
#include "coordinator/core/file_registry.h"
#include "coordinator/core/job_registry.h"
#include "coordinator/core/key_ring.h"
#include "coordinator/core/lease_table.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/model_registry.h"
#include "coordinator/store/store.h"
#include "platform/loop.h"

namespace fallow {
namespace {

void LogFailure(const Status& status) {
  if (!status) LOG_ERROR("coordinator: {}", status.error().message);
}

class LocalCoordinator : public Coordinator {
 public:
  LocalCoordinator(Loop& loop, const Clock& clock, Random& random, Store& store,
                   ArtifactStore& artifacts, const CoordinatorOptions& options)
      : options_(options),
        artifacts_(artifacts),
        events_(loop),
        keys_(store, clock, random),
        files_(store, artifacts, clock, random, options_.file_lifetime),
        models_(store, artifacts, clock),
        devices_(store, clock, random, events_),
        jobs_(loop, store, artifacts, clock, random, events_, options_),
        leases_(store, artifacts, clock, random, events_, devices_, jobs_, options_) {
    deadlines_ = loop.Every(kDeadlineTick, [this] {
      LogFailure(leases_.ExpireDue());
      LogFailure(jobs_.ExpireDue());
    });
    file_expiry_ = loop.Every(kFileExpiryTick, [this] { LogFailure(files_.RemoveExpired()); });
  }

  Status Resume() { return jobs_.Resume(); }

  KeyService& keys() override { return keys_; }
  FileService& files() override { return files_; }
  ModelService& models() override { return models_; }
  JobService& jobs() override { return jobs_; }
  DeviceService& devices() override { return devices_; }
  LeaseService& leases() override { return leases_; }
  EventBus& events() override { return events_; }
  ArtifactStore& artifacts() override { return artifacts_; }

 private:
  const CoordinatorOptions options_;
  ArtifactStore& artifacts_;
  LocalEventBus events_;
  KeyRing keys_;
  FileRegistry files_;
  ModelRegistry models_;
  DeviceRegistry devices_;
  JobRegistry jobs_;
  LeaseTable leases_;
  std::unique_ptr<Timer> deadlines_, file_expiry_;
};

}  // namespace

Result<std::unique_ptr<Coordinator>> NewCoordinator(Loop& loop, const Clock& clock, Random& random,
                                                    Store& store, ArtifactStore& artifacts,
                                                    const CoordinatorOptions& options) {
  auto coordinator =
      std::make_unique<LocalCoordinator>(loop, clock, random, store, artifacts, options);
  FALLOW_RETURN_IF_ERROR(coordinator->Resume());
  return coordinator;
}

}  // namespace fallow
