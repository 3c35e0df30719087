// The class behind OpenSqliteStore; its calls are grouped by record over several files.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/sqlite/database.h"
#include "coordinator/store/store.h"

namespace fallow::sqlite {

// A lease as the transactions of sqlite_leases.cc handle it.
struct LeaseRow {
  std::int64_t seq = 0;
  std::int64_t job_seq = 0;
  Lease lease;
  bool live = false;
};

class SqliteStore : public Store {
 public:
  explicit SqliteStore(std::unique_ptr<Database> database) : db_(std::move(database)) {}

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
  // Parts of transactions. Errors stick in the database.
  struct JobRow {
    std::int64_t seq = 0;
    Job job;
    std::uint64_t pending_count = 0, leased_count = 0;
  };
  std::optional<JobRow> ReadJob(const JobId& id);
  void InsertFile(const File& file);
  std::optional<std::int64_t> SeqOf(std::string_view table_query, std::string_view id);
  bool IsArtifactUsed(const Digest& artifact);
  std::optional<LeaseRow> ReadLease(const LeaseId& id);
  // Reads rows that began with the columns of kLeaseColumns.
  static LeaseRow TakeLease(Rows& rows);
  EndedLease EndLeaseRow(const LeaseRow& row, WallTime now);
  std::vector<EndedLease> EndLeases(const std::vector<LeaseRow>& rows, WallTime now);
  std::vector<LeaseRow> LiveLeasesOf(std::string_view sql, std::int64_t argument);
  struct Settled {
    std::uint64_t completed = 0, failed = 0, from_pending = 0, from_leased = 0, returned = 0;
    std::uint64_t prompt_tokens = 0, completion_tokens = 0;
    std::vector<std::int64_t> lease_seqs;  // that lost a request
  };
  void RecordAttempt(const LeaseRow& lease, const JudgedReport& report,
                     const JudgedAttempt& attempt, Settled& settled);

  std::unique_ptr<Database> db_;
};

}  // namespace fallow::sqlite
