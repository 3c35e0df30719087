#include "coordinator/store/memory/memory_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace fallow {
namespace {

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

std::unexpected<Error> None(std::string_view kind, std::string_view id) {
  return Fail(ErrorCode::kNotFound, fmt::format("no {} {}", kind, id));
}

class MemoryStore : public Store {
 public:
  Result<std::optional<std::string>> Setting(std::string_view name) override {
    const auto found = settings_.find(std::string(name));
    if (found == settings_.end()) return std::nullopt;
    return found->second;
  }
  Status PutSetting(std::string_view name, std::string_view value) override {
    settings_[std::string(name)] = value;
    return {};
  }

  Status AddKey(const ApiKey& key) override {
    for (const ApiKey& other : keys_) {
      if (other.id == key.id || other.secret_hash == key.secret_hash)
        return Fail(ErrorCode::kAlreadyExists, "the API key exists");
    }
    keys_.push_back(key);
    return {};
  }
  Result<std::optional<ApiKey>> FindKey(const Digest& secret_hash) override {
    const auto found = std::ranges::find(keys_, secret_hash, &ApiKey::secret_hash);
    if (found == keys_.end()) return std::nullopt;
    return *found;
  }
  Result<std::vector<ApiKey>> Keys() override { return keys_; }
  Status RevokeKey(const KeyId& id, WallTime when) override {
    const auto found = std::ranges::find(keys_, id, &ApiKey::id);
    if (found == keys_.end()) return None("API key", id.value);
    if (!found->revoked_at) found->revoked_at = when;
    return {};
  }

  Status AddFile(const File& file) override {
    if (FileOf(file.id) != nullptr)
      return Fail(ErrorCode::kAlreadyExists, fmt::format("file {} exists", file.id.value));
    files_.push_back(file);
    return {};
  }
  Result<std::optional<File>> FindFile(const FileId& id) override {
    const File* file = FileOf(id);
    if (file == nullptr) return std::nullopt;
    return *file;
  }
  Result<std::vector<File>> Files(const ListQuery& query,
                                  std::optional<FilePurpose> purpose) override {
    std::vector<File> newest_first(files_.rbegin(), files_.rend());
    std::erase_if(newest_first, [&](const File& file) {
      return (query.account && file.account != *query.account && query.after != file.id.value) ||
             (purpose && file.purpose != *purpose && query.after != file.id.value);
    });
    return Cut(std::move(newest_first), query, "file");
  }
  Result<RemovedArtifact> RemoveFile(const FileId& id) override {
    const File* file = FileOf(id);
    if (file == nullptr) return None("file", id.value);
    for (const JobRow& row : jobs_) {
      if (row.job.input_file == id && !IsFinal(row.job.state)) {
        return Fail(ErrorCode::kFailedPrecondition,
                    fmt::format("file {} is read by batch {}, which is not finished: cancel the "
                                "batch first",
                                id.value, row.job.id.value));
      }
    }
    const Digest artifact = file->artifact;
    std::erase_if(files_, [&](const File& other) { return other.id == id; });
    return RemovedArtifact{artifact, !IsArtifactUsed(artifact)};
  }
  Result<std::vector<FileId>> ExpiredFiles(WallTime now, std::size_t limit) override {
    std::vector<std::pair<WallTime, FileId>> expired;
    for (const File& file : files_) {
      const bool read = std::ranges::any_of(jobs_, [&](const JobRow& row) {
        return row.job.input_file == file.id && !IsFinal(row.job.state);
      });
      if (file.expires_at && *file.expires_at <= now && !read)
        expired.emplace_back(*file.expires_at, file.id);
    }
    std::ranges::stable_sort(expired, {}, &std::pair<WallTime, FileId>::first);
    std::vector<FileId> ids;
    for (const auto& [time, id] : expired)
      if (ids.size() < limit) ids.push_back(id);
    return ids;
  }

  Result<bool> ArtifactUsed(const Digest& artifact) override { return IsArtifactUsed(artifact); }

  Status AddModel(const Model& model) override {
    const auto [it, added] = models_.try_emplace(model.id, model);
    if (!added && it->second.artifact != model.artifact) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("model {} is already another file: remove it first, or choose "
                              "another name",
                              model.id.value));
    }
    return {};
  }
  Result<std::optional<Model>> FindModel(const ModelId& id) override {
    const auto found = models_.find(id);
    if (found == models_.end()) return std::nullopt;
    return found->second;
  }
  Result<std::vector<Model>> Models() override {
    std::vector<Model> models;
    for (const auto& [id, model] : models_) models.push_back(model);
    return models;
  }
  Result<RemovedArtifact> RemoveModel(const ModelId& id) override {
    const auto found = models_.find(id);
    if (found == models_.end()) return None("model", id.value);
    for (const JobRow& row : jobs_) {
      if (row.job.model == id && !IsFinal(row.job.state)) {
        return Fail(ErrorCode::kFailedPrecondition,
                    fmt::format("model {} is used by batch {}, which is not finished: cancel the "
                                "batch first",
                                id.value, row.job.id.value));
      }
    }
    const Digest artifact = found->second.artifact;
    models_.erase(found);
    return RemovedArtifact{artifact, !IsArtifactUsed(artifact)};
  }

  Result<Device> EnrollDevice(const Device& device) override {
    for (Device& known : devices_) {
      if (known.public_key != device.public_key) continue;
      known.profile = device.profile;
      known.last_seen_at = device.last_seen_at;
      return known;
    }
    devices_.push_back(device);
    return device;
  }
  Result<std::optional<Device>> FindDevice(const DeviceId& id) override {
    const Device* device = DeviceOf(id);
    if (device == nullptr) return std::nullopt;
    return *device;
  }
  Result<std::vector<Device>> Devices() override { return devices_; }
  Result<std::vector<EndedLease>> RemoveDevice(const DeviceId& id, WallTime) override {
    if (DeviceOf(id) == nullptr) return None("device", id.value);
    std::erase_if(devices_, [&](const Device& device) { return device.id == id; });
    return EndLeasesWhere([&](const Lease& lease) { return lease.device == id; });
  }
  Status UpdateDevice(const DeviceId& id, const DeviceProfile& profile, const DeviceStatus& status,
                      WallTime last_seen_at) override {
    Device* device = DeviceOf(id);
    if (device == nullptr) return None("device", id.value);
    device->profile = profile;
    device->status = status;
    device->last_seen_at = last_seen_at;
    return {};
  }

  Result<Job> CreateJob(const Job& job, const Digest& fingerprint, WallTime since) override {
    for (const JobRow& row : jobs_) {
      const JobState state = row.job.state;
      const bool repeatable = state == JobState::kValidating || state == JobState::kInProgress ||
                              state == JobState::kFinalizing || state == JobState::kCompleted;
      if (repeatable && row.fingerprint == fingerprint && row.job.created_at >= since)
        return row.job;
    }
    if (FileOf(job.input_file) == nullptr) return None("file", job.input_file.value);
    jobs_.push_back({job, fingerprint, {}});
    return job;
  }
  Result<std::optional<Job>> FindJob(const JobId& id) override {
    const JobRow* row = JobOf(id);
    if (row == nullptr) return std::nullopt;
    return row->job;
  }
  Result<std::vector<Job>> Jobs(const ListQuery& query) override {
    std::vector<Job> newest_first;
    for (auto row = jobs_.rbegin(); row != jobs_.rend(); ++row) {
      if (!query.account || row->job.account == *query.account || query.after == row->job.id.value)
        newest_first.push_back(row->job);
    }
    return Cut(std::move(newest_first), query, "batch");
  }
  Result<std::vector<OpenJob>> OpenJobs() override {
    std::vector<OpenJob> open;
    for (const JobRow& row : jobs_) {
      if (IsFinal(row.job.state)) continue;
      open.push_back(
          {row.job, row.CountOf(RequestState::kPending), row.CountOf(RequestState::kLeased)});
    }
    return open;
  }
  Result<Job> StartJob(const JobId& id, const ModelId& model, const Digest& model_artifact,
                       std::span<const Request> requests, WallTime now) override {
    JobRow* row = JobOf(id);
    if (row == nullptr) return None("batch", id.value);
    if (row->job.state != JobState::kValidating) return WrongState(row->job, "validating");
    const auto found = models_.find(model);
    if (found == models_.end() || found->second.artifact != model_artifact) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("model {} was removed or replaced", model.value));
    }
    for (const Request& request : requests) {
      row->requests.push_back({request, 0, {}, {}});
      row->requests.back().request.state = RequestState::kPending;
    }
    row->job.state = JobState::kInProgress;
    row->job.model = model;
    row->job.model_artifact = model_artifact;
    row->job.counts.total = requests.size();
    row->job.in_progress_at = now;
    return row->job;
  }
  Result<Job> FailJob(const JobId& id, std::span<const JobError> errors, WallTime now) override {
    JobRow* row = JobOf(id);
    if (row == nullptr) return None("batch", id.value);
    if (row->job.state != JobState::kValidating) return WrongState(row->job, "validating");
    row->job.state = JobState::kFailed;
    row->job.errors.assign(errors.begin(), errors.end());
    row->job.failed_at = now;
    return row->job;
  }
  Result<Job> StopJob(const JobId& id, StopReason reason, WallTime now) override {
    JobRow* row = JobOf(id);
    if (row == nullptr) return None("batch", id.value);
    Job& job = row->job;
    const bool cancel = reason == StopReason::kCancel;
    if (job.state == JobState::kValidating) {
      job.state = cancel ? JobState::kCancelled : JobState::kExpired;
      (cancel ? job.cancelled_at : job.expired_at) = now;
      if (cancel) job.cancelling_at = now;
    } else if (job.state == JobState::kInProgress) {
      EndLeasesWhere([&](const Lease& lease) { return lease.job == id; });
      job.state = cancel ? JobState::kCancelling : JobState::kFinalizing;
      (cancel ? job.cancelling_at : job.finalizing_at) = now;
    }
    return job;
  }
  Result<Job> FinishJob(const JobId& id, const std::optional<File>& output,
                        const std::optional<File>& errors, WallTime now) override {
    JobRow* row = JobOf(id);
    if (row == nullptr) return None("batch", id.value);
    Job& job = row->job;
    if (job.state != JobState::kCancelling && job.state != JobState::kFinalizing)
      return WrongState(job, "finalizing or cancelling");
    for (const auto* file : {&output, &errors}) {
      if (*file && FileOf((*file)->id) != nullptr)
        return Fail(ErrorCode::kAlreadyExists, fmt::format("file {} exists", (*file)->id.value));
    }
    if (job.state == JobState::kCancelling) {
      job.state = JobState::kCancelled;
      job.cancelled_at = now;
    } else if (job.counts.completed + job.counts.failed == job.counts.total) {
      job.state = JobState::kCompleted;
      job.completed_at = now;
    } else {
      job.state = JobState::kExpired;
      job.expired_at = now;
    }
    job.output_file.reset();
    job.error_file.reset();
    if (output) {
      files_.push_back(*output);
      job.output_file = output->id;
    }
    if (errors) {
      files_.push_back(*errors);
      job.error_file = errors->id;
    }
    return job;
  }

  Result<std::vector<RequestOutcome>> Outcomes(const JobId& job, std::uint64_t first,
                                               std::size_t count, Answers answers) override {
    const JobRow* row = JobOf(job);
    if (row == nullptr) return None("batch", job.value);
    std::vector<RequestOutcome> outcomes;
    std::size_t answer_bytes = 0;
    for (std::uint64_t i = first; i < row->requests.size() && outcomes.size() < count; ++i) {
      if (answer_bytes > kMaxOutcomeBytes) break;
      outcomes.push_back({row->requests[i].request, row->requests[i].canonical});
      if (auto& canonical = outcomes.back().result) {
        if (answers == Answers::kWithout) ForgetAnswer(canonical->result);
        answer_bytes += AnswerBytes(canonical->result);
      }
    }
    return outcomes;
  }
  Result<std::vector<Request>> FindRequests(const JobId& job,
                                            std::span<const std::uint64_t> indices) override {
    const JobRow* row = JobOf(job);
    if (row == nullptr) return None("batch", job.value);
    std::vector<Request> requests;
    for (const std::uint64_t index : indices)
      if (index < row->requests.size()) requests.push_back(row->requests[index].request);
    return requests;
  }

  Result<std::optional<GrantedLease>> GrantLease(const LeaseOffer& offer) override {
    JobRow* row = JobOf(offer.job);
    if (row == nullptr || row->job.state != JobState::kInProgress) return std::nullopt;
    GrantedLease granted;
    std::uint64_t line_bytes = 0, input_count = 0;
    for (RequestRow& candidate : row->requests) {
      if (candidate.request.state != RequestState::kPending || IsLeftToOthers(candidate, offer))
        continue;
      if (granted.requests.size() == offer.max_request_count) break;
      line_bytes += candidate.request.length;
      input_count += candidate.request.input_count;
      const bool full = line_bytes > offer.max_line_bytes || input_count > offer.max_input_count;
      if (!granted.requests.empty() && full) break;
      candidate.request.state = RequestState::kLeased;
      candidate.lease = offer.lease;
      granted.requests.push_back(candidate.request);
      granted.lease.request_indices.push_back(candidate.request.index);
    }
    if (granted.requests.empty()) return std::nullopt;
    granted.lease.id = offer.lease;
    granted.lease.device = offer.device;
    granted.lease.job = offer.job;
    granted.lease.granted_at = offer.granted_at;
    granted.lease.expires_at = offer.expires_at;
    leases_.push_back({granted.lease, true, {}});
    return granted;
  }
  Result<std::optional<LeaseRecord>> FindLease(const LeaseId& id) override {
    const LeaseRow* row = LeaseOf(id);
    if (row == nullptr) return std::nullopt;
    return LeaseRecord{row->lease, row->live};
  }
  Result<std::vector<Lease>> LiveLeases() override {
    std::vector<Lease> live;
    for (const LeaseRow& row : leases_)
      if (row.live) live.push_back(row.lease);
    return live;
  }
  Result<std::size_t> LiveLeaseCount(const DeviceId& device) override {
    return static_cast<std::size_t>(std::ranges::count_if(
        leases_, [&](const LeaseRow& row) { return row.live && row.lease.device == device; }));
  }
  Result<std::vector<LeaseId>> RenewLeases(const DeviceId& device, std::span<const LeaseId> leases,
                                           WallTime expires_at) override {
    std::vector<LeaseId> ended;
    for (const LeaseId& id : leases) {
      LeaseRow* row = LeaseOf(id);
      if (row == nullptr || !row->live || row->lease.device != device) {
        ended.push_back(id);
      } else {
        row->lease.expires_at = std::max(row->lease.expires_at, expires_at);
      }
    }
    return ended;
  }
  Result<RecordedReport> RecordResults(const JudgedReport& report) override {
    LeaseRow* lease = LeaseOf(report.lease);
    if (lease == nullptr) return None("lease", report.lease.value);
    if (lease->lease.device != report.device) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("lease {} is another device's", report.lease.value));
    }
    JobRow* row = JobOf(lease->lease.job);
    if (row == nullptr || row->job.state != JobState::kInProgress) return RecordedReport{};
    RecordedReport recorded;
    recorded.lease_live = lease->live;
    if (lease->live)
      lease->lease.expires_at = std::max(lease->lease.expires_at, report.renewed_until);
    for (const JudgedAttempt& attempt : report.attempts)
      RecordAttempt(*row, *lease, report, attempt, recorded);
    for (LeaseRow& other : leases_) {
      if (other.live && other.lease.job == row->job.id && !HoldsRequests(*row, other.lease.id))
        other.live = false;
    }
    JobCounts& counts = row->job.counts;
    if (recorded.settled_count > 0 && counts.completed + counts.failed == counts.total) {
      recorded.job_settled = true;
      row->job.state = JobState::kFinalizing;
      row->job.finalizing_at = report.received_at;
    }
    return recorded;
  }
  Result<std::optional<EndedLease>> EndLease(const DeviceId& device, const LeaseId& lease,
                                             WallTime) override {
    auto ended = EndLeasesWhere(
        [&](const Lease& other) { return other.id == lease && other.device == device; });
    if (ended.empty()) return std::nullopt;
    return ended.front();
  }
  Result<std::vector<EndedLease>> ExpireLeases(WallTime now) override {
    return EndLeasesWhere([&](const Lease& lease) { return lease.expires_at <= now; });
  }

 private:
  File* FileOf(const FileId& id) {
    const auto found = std::ranges::find(files_, id, &File::id);
    return found == files_.end() ? nullptr : &*found;
  }
  Device* DeviceOf(const DeviceId& id) {
    const auto found = std::ranges::find(devices_, id, &Device::id);
    return found == devices_.end() ? nullptr : &*found;
  }
  JobRow* JobOf(const JobId& id) {
    const auto found =
        std::ranges::find_if(jobs_, [&](const JobRow& row) { return row.job.id == id; });
    return found == jobs_.end() ? nullptr : &*found;
  }
  LeaseRow* LeaseOf(const LeaseId& id) {
    const auto found =
        std::ranges::find_if(leases_, [&](const LeaseRow& row) { return row.lease.id == id; });
    return found == leases_.end() ? nullptr : &*found;
  }
  bool IsLeftToOthers(const RequestRow& request, const LeaseOffer& offer) {
    const auto& retried = request.retried;
    if (!retried || retried->at < offer.elsewhere_since) return false;
    if (retried->device == offer.device) return true;
    const Device* tried = DeviceOf(retried->device);
    const Device* asking = DeviceOf(offer.device);
    return retried->why == ErrorCode::kResourceExhausted && tried != nullptr && asking != nullptr &&
           tried->profile.memory_bytes >= asking->profile.memory_bytes;
  }
  bool IsArtifactUsed(const Digest& artifact) const {
    return std::ranges::any_of(files_,
                               [&](const File& file) { return file.artifact == artifact; }) ||
           std::ranges::any_of(
               models_, [&](const auto& entry) { return entry.second.artifact == artifact; });
  }
  static std::unexpected<Error> WrongState(const Job& job, std::string_view wanted) {
    return Fail(ErrorCode::kFailedPrecondition, fmt::format("batch {} is {}, not {}", job.id.value,
                                                            JobStateName(job.state), wanted));
  }
  static bool HoldsRequests(const JobRow& row, const LeaseId& lease) {
    return std::ranges::any_of(row.requests,
                               [&](const RequestRow& request) { return request.lease == lease; });
  }

  template <class T>
  static Result<std::vector<T>> Cut(std::vector<T> newest_first, const ListQuery& query,
                                    std::string_view kind) {
    if (query.after) {
      const auto found = std::ranges::find_if(
          newest_first, [&](const T& item) { return item.id.value == *query.after; });
      if (found == newest_first.end()) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("after: no {} {}", kind, *query.after));
      }
      newest_first.erase(newest_first.begin(), found + 1);
    }
    if (newest_first.size() > query.limit)
      newest_first.erase(newest_first.begin() + static_cast<std::ptrdiff_t>(query.limit),
                         newest_first.end());
    return newest_first;
  }

  template <class Condition>
  std::vector<EndedLease> EndLeasesWhere(Condition condition) {
    std::vector<EndedLease> ended;
    for (LeaseRow& lease : leases_) {
      if (!lease.live || !condition(lease.lease)) continue;
      lease.live = false;
      EndedLease& end =
          ended.emplace_back(EndedLease{lease.lease.id, lease.lease.device, lease.lease.job, 0});
      for (RequestRow& request : JobOf(lease.lease.job)->requests) {
        if (request.lease != lease.lease.id) continue;
        request.lease.reset();
        request.request.state = RequestState::kPending;
        ++end.returned_count;
      }
    }
    return ended;
  }

  void RecordAttempt(JobRow& job, LeaseRow& lease, const JudgedReport& report,
                     const JudgedAttempt& attempt, RecordedReport& recorded) {
    const AttemptResult& result = attempt.result;
    if (!std::ranges::binary_search(lease.lease.request_indices, result.request_index)) return;
    if (!lease.reported.insert(result.request_index).second) return;
    RequestRow& row = job.requests[result.request_index];
    if (row.canonical) return;
    if (attempt.verdict == Verdict::kRetry) {
      if (row.lease != lease.lease.id) return;
      if (++row.retry_count < report.max_retry_count) {
        row.lease.reset();
        row.retried = Retried{lease.lease.device, report.received_at,
                              result.error ? result.error->code : ErrorCode::kInternal};
        row.request.state = RequestState::kPending;
        ++recorded.returned_count;
        return;
      }
    }
    row.lease.reset();
    row.canonical = CanonicalResult{row.request.custom_id, lease.lease.device, lease.lease.id,
                                    report.received_at, result};
    ++recorded.settled_count;
    if (result.error) {
      row.request.state = RequestState::kFailed;
      ++job.job.counts.failed;
      return;
    }
    row.request.state = RequestState::kDone;
    ++job.job.counts.completed;
    job.job.usage.prompt_tokens += result.prompt_token_count;
    job.job.usage.completion_tokens += result.token_ids.size();
    if (Device* device = DeviceOf(report.device)) {
      ++device->completed_request_count;
      device->generated_token_count += result.token_ids.size();
    }
  }

  std::map<std::string, std::string> settings_;
  std::vector<ApiKey> keys_;  // oldest first, as are all below
  std::vector<File> files_;
  std::map<ModelId, Model> models_;
  std::vector<Device> devices_;
  std::vector<JobRow> jobs_;
  std::vector<LeaseRow> leases_;
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore() {
  return std::make_unique<MemoryStore>();
}

}  // namespace fallow
