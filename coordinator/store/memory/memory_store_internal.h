// The class behind NewMemoryStore; its calls are grouped by record over several files, as the
// SQLite store's are. Small, and so searched from end to end.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/store/store.h"

namespace fallow::memory {

// The latest attempt that was to be retried.
struct Retried {
  DeviceId device;
  WallTime at;
  ErrorCode why = ErrorCode::kInternal;
};

struct RequestRow {
  Request request;
  std::uint32_t retry_count = 0;
  std::optional<Retried> retried;
  std::optional<LeaseId> lease;  // the live one
  std::optional<CanonicalResult> canonical;
};

struct JobRow {
  Job job;
  Digest fingerprint;
  std::vector<RequestRow> requests;

  std::uint64_t CountOf(RequestState state) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        requests, [&](const RequestRow& row) { return row.request.state == state; }));
  }
};

struct LeaseRow {
  Lease lease;
  bool live = true;
  std::set<std::uint64_t> reported;  // indices an attempt was stored for
};

// kNotFound: there is no such thing.
std::unexpected<Error> None(std::string_view kind, std::string_view id);

class MemoryStore : public Store {
 public:
  Result<std::optional<std::string>> Setting(std::string_view name) override;
  Status PutSetting(std::string_view name, std::string_view value) override;

  Status AddKey(const ApiKey& key) override;
  Result<std::optional<ApiKey>> FindKey(const Digest& secret_hash) override;
  Result<std::vector<ApiKey>> Keys() override;
  Status RevokeKey(const KeyId& id, WallTime when) override;

  Status AddFile(const File& file) override;
  Result<std::optional<File>> FindFile(const FileId& id) override;
  Result<std::vector<File>> Files(const ListQuery& query,
                                  std::optional<FilePurpose> purpose) override;
  Result<RemovedArtifact> RemoveFile(const FileId& id) override;
  Result<std::vector<FileId>> ExpiredFiles(WallTime now, std::size_t limit) override;

  Result<bool> ArtifactUsed(const Digest& artifact) override;

  Status AddModel(const Model& model) override;
  Result<std::optional<Model>> FindModel(const ModelId& id) override;
  Result<std::vector<Model>> Models() override;
  Result<RemovedArtifact> RemoveModel(const ModelId& id) override;

  Result<Device> EnrollDevice(const Device& device) override;
  Result<std::optional<Device>> FindDevice(const DeviceId& id) override;
  Result<std::vector<Device>> Devices() override;
  Result<std::vector<EndedLease>> RemoveDevice(const DeviceId& id, WallTime now) override;
  Status UpdateDevice(const DeviceId& id, const DeviceProfile& profile, const DeviceStatus& status,
                      WallTime last_seen_at) override;

  Result<Job> CreateJob(const Job& job, const Digest& fingerprint, WallTime since) override;
  Result<std::optional<Job>> FindJob(const JobId& id) override;
  Result<std::vector<Job>> Jobs(const ListQuery& query) override;
  Result<std::vector<OpenJob>> OpenJobs() override;
  Result<Job> StartJob(const JobId& id, const ModelId& model, const Digest& model_artifact,
                       std::span<const Request> requests, WallTime now) override;
  Result<Job> FailJob(const JobId& id, std::span<const JobError> errors, WallTime now) override;
  Result<Job> StopJob(const JobId& id, StopReason reason, WallTime now) override;
  Result<Job> FinishJob(const JobId& id, const std::optional<File>& output,
                        const std::optional<File>& errors, WallTime now) override;

  Result<std::vector<RequestOutcome>> Outcomes(const JobId& job, std::uint64_t first,
                                               std::size_t count, Answers answers) override;
  Result<std::vector<Request>> FindRequests(const JobId& job,
                                            std::span<const std::uint64_t> indices) override;

  Result<std::optional<GrantedLease>> GrantLease(const LeaseOffer& offer) override;
  Result<std::optional<LeaseRecord>> FindLease(const LeaseId& id) override;
  Result<std::vector<Lease>> LiveLeases() override;
  Result<std::size_t> LiveLeaseCount(const DeviceId& device) override;
  Result<std::vector<LeaseId>> RenewLeases(const DeviceId& device, std::span<const LeaseId> leases,
                                           WallTime expires_at) override;
  Result<RecordedReport> RecordResults(const JudgedReport& report) override;
  Result<std::optional<EndedLease>> EndLease(const DeviceId& device, const LeaseId& lease,
                                             WallTime now) override;
  Result<std::vector<EndedLease>> ExpireLeases(WallTime now) override;

 private:
  // Null if there is none.
  File* FileOf(const FileId& id);
  Device* DeviceOf(const DeviceId& id);
  JobRow* JobOf(const JobId& id);
  LeaseRow* LeaseOf(const LeaseId& id);
  bool IsArtifactUsed(const Digest& artifact) const;
  bool IsLeftToOthers(const RequestRow& request, const LeaseOffer& offer);
  std::vector<EndedLease> EndLeasesWhere(const std::function<bool(const Lease&)>& condition);
  void RecordAttempt(JobRow& job, LeaseRow& lease, const JudgedReport& report,
                     const JudgedAttempt& attempt, RecordedReport& recorded);

  std::map<std::string, std::string> settings_;
  std::vector<ApiKey> keys_;  // oldest first, as are all below
  std::vector<File> files_;
  std::map<ModelId, Model> models_;
  std::vector<Device> devices_;
  std::vector<JobRow> jobs_;
  std::vector<LeaseRow> leases_;
};

// The part of a list that `query` asks for; `kind` names an item. kInvalidArgument if there is no
// item `query.after`.
template <class T>
Result<std::vector<T>> Cut(std::vector<T> newest_first, const ListQuery& query,
                           std::string_view kind) {
  if (query.after) {
    const auto found = std::ranges::find_if(
        newest_first, [&](const T& item) { return item.id.value == *query.after; });
    if (found == newest_first.end()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("after: no {} {}", kind, *query.after));
    }
    newest_first.erase(newest_first.begin(), found + 1);
  }
  if (newest_first.size() > query.limit)
    newest_first.erase(newest_first.begin() + static_cast<std::ptrdiff_t>(query.limit),
                       newest_first.end());
  return newest_first;
}

}  // namespace fallow::memory
