// The Store keeps the coordinator's records. Each call is one transaction: it happens as a whole or
// not at all, and conditions in it hold when it happens, however many coordinators share the store.
//
// Durability: what a call marked [durable] changed survives a power cut when it returns. The others
// survive the death of the process; losing their last moments costs work, never a result.
// Threading: the coordinator's loop. Errors: kResourceExhausted (disk full, store read-only),
// kUnavailable, kDataLoss and kInternal from any call; others as said. A call that failed changed
// nothing. Time comes in as an argument; a store has no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/core/records.h"

namespace fallow {

// Part of a list, newest first. `after` is the id of the last item before it.
struct ListQuery {
  std::optional<AccountId> account;  // none: everybody's
  std::optional<std::string> after;
  std::size_t limit = 20;
};

// A removed record's artifact, and whether nothing refers to it any more.
struct RemovedArtifact {
  Digest artifact;
  bool unused = false;
};

// A job that is not final, with where its requests stand.
struct OpenJob {
  Job job;
  std::uint64_t pending_count = 0;
  std::uint64_t leased_count = 0;
};

struct RequestOutcome {
  Request request;
  std::optional<CanonicalResult> result;  // of a settled request
};

struct LeaseOffer {
  LeaseId lease;
  DeviceId device;
  JobId job;
  std::size_t max_request_count = 0;
  std::uint64_t max_line_bytes =
      0;  // of all lines together; the first is granted whatever its length
  WallTime granted_at, expires_at;
  std::uint64_t max_input_count = UINT64_MAX;  // of all requests together, likewise
  // A request whose latest attempt was to be retried at or after this is left to others: to other
  // devices, and where memory was short (kResourceExhausted) to those that have more of it.
  WallTime elsewhere_since = WallTime::max();
};
struct GrantedLease {
  Lease lease;
  std::vector<Request> requests;
};

struct LeaseRecord {
  Lease lease;
  bool live = false;
};

// A lease that has ended before all its requests were settled.
struct EndedLease {
  LeaseId lease;
  DeviceId device;
  JobId job;
  std::size_t returned_count = 0;  // requests that are pending again
  bool operator==(const EndedLease&) const = default;
};

// What result_verifier makes of an attempt.
enum class Verdict : std::uint8_t {
  kCanonical = 1,  // settles its request, if nothing has yet
  kRetry = 2,  // `error` says why; the request goes to somebody else until its retries are used up
};
struct JudgedAttempt {
  AttemptResult result;
  Verdict verdict = Verdict::kCanonical;
};
struct JudgedReport {
  LeaseId lease;
  DeviceId device;
  std::vector<JudgedAttempt> attempts;
  WallTime received_at;
  WallTime renewed_until;  // the lease's new deadline, if it is live
  std::uint32_t max_retry_count =
      0;  // a request fails when so many of its attempts were to be retried
};
struct RecordedReport {
  bool lease_live = false;   // it was live before, and its job goes on
  bool job_settled = false;  // the report settled the last request: the job is finalizing
  std::size_t settled_count = 0;
  std::size_t returned_count = 0;  // requests that are pending again
};

// Answers read at once: one of the longest may go beyond it. What is made of them takes some tens
// of milliseconds.
inline constexpr std::size_t kMaxOutcomeBytes = 2 << 20;

// Whether outcomes come with what was answered: text, tokens, vectors and their digests.
enum class Answers : std::uint8_t { kWith, kWithout };

enum class StopReason : std::uint8_t { kCancel = 1, kExpire = 2 };

class Store {
 public:
  virtual ~Store() = default;

  // --- Settings: small texts by name. [durable]
  virtual Result<std::optional<std::string>> Setting(std::string_view name) = 0;
  virtual Status PutSetting(std::string_view name, std::string_view value) = 0;

  // --- API keys. [durable]
  virtual Status AddKey(const ApiKey& key) = 0;                                  // kAlreadyExists
  virtual Result<std::optional<ApiKey>> FindKey(const Digest& secret_hash) = 0;  // revoked ones too
  virtual Result<std::vector<ApiKey>> Keys() = 0;                                // oldest first
  virtual Status RevokeKey(const KeyId& id,
                           WallTime when) = 0;  // kNotFound; again: changes nothing

  // --- Files. [durable]
  virtual Status AddFile(const File& file) = 0;  // kAlreadyExists
  virtual Result<std::optional<File>> FindFile(const FileId& id) = 0;
  // kInvalidArgument if there is no file `query.after`.
  virtual Result<std::vector<File>> Files(const ListQuery& query,
                                          std::optional<FilePurpose> purpose) = 0;
  // kNotFound; kFailedPrecondition while a job that is not final reads it.
  virtual Result<RemovedArtifact> RemoveFile(const FileId& id) = 0;
  // Files past their expiry that no open job reads.
  virtual Result<std::vector<FileId>> ExpiredFiles(WallTime now, std::size_t limit) = 0;

  // Whether a file or a model is this artifact.
  virtual Result<bool> ArtifactUsed(const Digest& artifact) = 0;

  // --- Models. [durable]
  // kAlreadyExists if the name stands for another artifact; the same again changes nothing.
  virtual Status AddModel(const Model& model) = 0;
  virtual Result<std::optional<Model>> FindModel(const ModelId& id) = 0;
  virtual Result<std::vector<Model>> Models() = 0;  // by name
  // kNotFound; kFailedPrecondition while a job that is not final uses it.
  virtual Result<RemovedArtifact> RemoveModel(const ModelId& id) = 0;

  // --- Devices.
  // [durable] A known key keeps its device's id and record, with the new profile.
  virtual Result<Device> EnrollDevice(const Device& device) = 0;
  virtual Result<std::optional<Device>> FindDevice(const DeviceId& id) = 0;
  virtual Result<std::vector<Device>> Devices() = 0;  // oldest first
  // [durable] Ends its leases. kNotFound.
  virtual Result<std::vector<EndedLease>> RemoveDevice(const DeviceId& id, WallTime now) = 0;
  // kNotFound. Counts are not touched.
  virtual Status UpdateDevice(const DeviceId& id, const DeviceProfile& profile,
                              const DeviceStatus& status, WallTime last_seen_at) = 0;

  // --- Jobs. [durable]
  // Adds a validating job, or returns the one with the same fingerprint made at `since` or later,
  // unless that failed, expired or was cancelled. kNotFound if the input file is gone.
  virtual Result<Job> CreateJob(const Job& job, const Digest& fingerprint, WallTime since) = 0;
  virtual Result<std::optional<Job>> FindJob(const JobId& id) = 0;
  // kInvalidArgument if there is no job `query.after`.
  virtual Result<std::vector<Job>> Jobs(const ListQuery& query) = 0;
  virtual Result<std::vector<OpenJob>> OpenJobs() = 0;  // oldest first
  // Validating to in progress, with all its requests, indices 0 … n-1, all pending.
  // kFailedPrecondition if the job is not validating, or `model` is no longer the artifact
  // `model_artifact`.
  virtual Result<Job> StartJob(const JobId& id, const ModelId& model, const Digest& model_artifact,
                               std::span<const Request> requests, WallTime now) = 0;
  // Validating to failed. kFailedPrecondition if it is not validating.
  virtual Result<Job> FailJob(const JobId& id, std::span<const JobError> errors, WallTime now) = 0;
  // Ends the job's leases. Cancel: in progress to cancelling, validating to cancelled. Expire: in
  // progress to finalizing, validating to expired. Any other state is left as it is; the job is
  // returned. kNotFound.
  virtual Result<Job> StopJob(const JobId& id, StopReason reason, WallTime now) = 0;
  // Finalizing or cancelling to its end, with its files. Cancelling ends as cancelled; finalizing
  // as completed if all requests are settled, else as expired. kFailedPrecondition in other states.
  virtual Result<Job> FinishJob(const JobId& id, const std::optional<File>& output,
                                const std::optional<File>& errors, WallTime now) = 0;

  // --- Requests.
  // From index `first`, at most `count`, in order, with what settled them. Fewer when their answers
  // have more than kMaxOutcomeBytes; none only if there are none.
  virtual Result<std::vector<RequestOutcome>> Outcomes(const JobId& job, std::uint64_t first,
                                                       std::size_t count, Answers answers) = 0;
  // Those of `indices` that exist, in that order.
  virtual Result<std::vector<Request>> FindRequests(const JobId& job,
                                                    std::span<const std::uint64_t> indices) = 0;

  // --- Leases.
  // Leases the job's first pending requests within the offer's bounds; none if there are none, or
  // the job is not in progress. Invariant: a request is under at most one live lease.
  virtual Result<std::optional<GrantedLease>> GrantLease(const LeaseOffer& offer) = 0;
  virtual Result<std::optional<LeaseRecord>> FindLease(const LeaseId& id) = 0;
  virtual Result<std::vector<Lease>> LiveLeases() = 0;
  virtual Result<std::size_t> LiveLeaseCount(const DeviceId& device) = 0;
  // Moves the deadlines of the device's live leases; returns those of `leases` that are not live or
  // not its.
  virtual Result<std::vector<LeaseId>> RenewLeases(const DeviceId& device,
                                                   std::span<const LeaseId> leases,
                                                   WallTime expires_at) = 0;
  // [durable] Stores attempts and settles requests. Attempts outside the lease, of a job that is no
  // longer in progress, or of a request the lease has reported before change nothing; a request is
  // settled once. A lease without unsettled requests ends. kNotFound if there is no such lease;
  // kPermissionDenied if it is another device's.
  virtual Result<RecordedReport> RecordResults(const JudgedReport& report) = 0;
  // Ends a live lease of the device; none if it is not one.
  virtual Result<std::optional<EndedLease>> EndLease(const DeviceId& device, const LeaseId& lease,
                                                     WallTime now) = 0;
  virtual Result<std::vector<EndedLease>> ExpireLeases(
      WallTime now) = 0;  // deadline at or before `now`
};

}  // namespace fallow
