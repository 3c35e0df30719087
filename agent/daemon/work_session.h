// The work of one device: asks for leases, brings the model, keeps the worker's batch full, streams
// results back, and gives everything back when the owner returns.
//
// Invariant: a request of a held lease is in exactly one place: waiting, in the worker, or finished
// in the lease's channel. While one lease drains the next is fetched, so that the batch does not
// run empty. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/artifact_cache.h"
#include "agent/daemon/heartbeat.h"
#include "agent/daemon/lease_channel.h"
#include "agent/daemon/work_meter.h"
#include "agent/daemon/worker_supervisor.h"

namespace fallow {

struct WorkSessionOptions {
  LeaseChannelOptions channel;
  std::chrono::milliseconds lease_wait{30'000};  // of the long poll
  std::chrono::milliseconds heartbeat_period{
      5'000};  // with leases; several within a lease's duration
  std::chrono::milliseconds quiet_heartbeat_period{
      30'000};  // without; within the 90 s after which a device is offline
  std::chrono::milliseconds prefetch_ahead{
      3'000};  // asks for the next lease so long before the work runs out
  std::chrono::milliseconds first_retry{1'000};
  std::chrono::milliseconds max_retry{60'000};
  int max_losses_per_lease = 3;  // workers that may die over one lease
  int faulty_after = 3;          // failures in a row after which the device says so
  // Called whenever a lease is taken or has gone, with all that are held.
  std::function<void(const std::vector<LeaseId>&)> on_leases_changed;
  // How fast the device was given back so far, for the coordinator; null: not told.
  std::function<std::optional<YieldFigures>()> yields;
};

class WorkSession {
 public:
  // `profile`: what is known before a worker has run. All references must outlive the session.
  WorkSession(Loop& loop, const Clock& clock, Random& random, CoordinatorClient& client,
              ArtifactSource& artifacts, Worker& worker, DeviceProfile profile,
              WorkSessionOptions options);
  ~WorkSession();

  // Gives back leases that an earlier process of this agent held when it was killed.
  void GiveBack(const std::vector<LeaseId>& leases);
  // The machine is free, or stays so for another reason.
  void Run(std::string reason);
  // The machine is needed: work stops at once, results go out, leases are released. May be called
  // again, with another reason, or without keep_memory to end a worker that was kept.
  void Stop(DeviceState state, std::string reason, const StopOptions& options = {});
  // As Stop; `done` is called when every lease is released or `patience` is over.
  void ShutDown(std::chrono::milliseconds patience, std::function<void()> done);

  DeviceStatus status() const;
  const DeviceProfile& profile() const { return profile_; }

  struct LeaseView {
    LeaseId lease;
    JobId job;
    ModelId model;
    std::size_t request_count = 0;
    std::size_t unfinished_count = 0;
    std::size_t unacknowledged_count = 0;
    bool releasing = false;
  };
  std::vector<LeaseView> leases() const;
  std::uint64_t finished_request_count() const { return meter_.finished_request_count(); }
  std::uint64_t generated_token_count() const { return meter_.generated_token_count(); }
  // How the last call went, and when one last succeeded.
  const Status& last_contact() const { return last_contact_; }
  std::optional<SteadyTime> last_success() const { return last_success_; }

 private:
  enum class Phase : std::uint8_t { kNeedsModel, kFetching, kHasModel, kInWorker, kClosing };
  struct Held {
    std::uint64_t ticket = 0;
    LeaseId lease;
    JobId job;
    ModelArtifact model;
    std::size_t request_count = 0;
    std::map<std::uint64_t, InferenceRequest> unfinished;  // by index in the job
    Phase phase = Phase::kNeedsModel;
    std::string model_path;
    int loss_count = 0;
    std::unique_ptr<ArtifactFetch> fetch;
    std::unique_ptr<LeaseChannel> channel;
  };

  // Deciding; each does nothing when there is nothing to do.
  void AdvanceSoon();
  void Advance();
  void AskForLease();
  void FetchModel();
  void FeedWorker();
  bool WantsLease() const;
  std::size_t UnfinishedCount() const;

  // Leases.
  void OnLeaseReply(Result<LeaseReply> reply);
  void Take(LeaseGrant grant);
  void OpenChannel(Held& held);
  void TellLeases();
  void Close(Held& held, const std::string& reason);
  void Remove(std::uint64_t ticket);
  Held* Find(std::uint64_t ticket);

  // The worker.
  void OnReady(const WorkerReady& ready, bool model_loaded);
  void OnModelReady();
  void OnModelFailed(const Error& error);
  void OnFinished(RequestFinished finished);
  void OnProgress(const WorkProgress& progress);
  void OnLost(const Error& error);

  // The coordinator.
  void NoteContact(const Status& status);
  HeartbeatRequest MakeHeartbeat() const;
  void OnHeartbeat(Result<HeartbeatReply> reply);
  void NoteState();
  void PauseAsking(const Error& why);
  void FinishShutDown();

  Loop& loop_;
  const Clock& clock_;
  Random& random_;
  CoordinatorClient& client_;
  ArtifactSource& artifacts_;
  Worker& worker_;
  DeviceProfile profile_;
  const WorkSessionOptions options_;

  bool allowed_ = false;
  DeviceState stop_state_ = DeviceState::kPaused;
  std::string reason_ = "starting";
  std::string trouble_;        // what keeps us from working though we may; empty if nothing
  int failures_in_a_row_ = 0;  // of models, downloads, the worker
  bool refused_ = false;       // the coordinator does not know us

  std::list<Held> leases_;  // oldest first
  std::uint64_t last_ticket_ = 0;
  std::optional<Digest> worker_model_;  // loaded, or being loaded
  std::uint64_t loading_ticket_ = 0;    // the lease whose model is being loaded; 0: none
  WorkMeter meter_;

  Backoff ask_backoff_;
  CoordinatorClient::Call ask_call_;
  bool asking_ = false;
  std::unique_ptr<Timer> ask_timer_;  // running: not to ask before it ends
  Heartbeat heartbeat_;
  std::optional<DeviceState> told_state_;
  Status last_contact_;
  std::optional<SteadyTime> last_success_;

  bool shutting_down_ = false;
  std::function<void()> on_shut_down_;
  std::unique_ptr<Timer> shutdown_timer_;
  bool advance_posted_ = false;
  // Posted calls look here before they touch the session.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
