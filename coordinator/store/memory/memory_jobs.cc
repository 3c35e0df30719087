#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "coordinator/store/memory/memory_store_internal.h"

namespace fallow::memory {
namespace {

std::unexpected<Error> WrongState(const Job& job, std::string_view wanted) {
  return Fail(ErrorCode::kFailedPrecondition,
              fmt::format("batch {} is {}, not {}", job.id.value, JobStateName(job.state), wanted));
}

}  // namespace

Result<Job> MemoryStore::CreateJob(const Job& job, const Digest& fingerprint, WallTime since) {
  for (const JobRow& row : jobs_) {
    const JobState state = row.job.state;
    const bool repeatable = state == JobState::kValidating || state == JobState::kInProgress ||
                            state == JobState::kFinalizing || state == JobState::kCompleted;
    if (repeatable && row.fingerprint == fingerprint && row.job.created_at >= since) return row.job;
  }
  if (FileOf(job.input_file) == nullptr) return None("file", job.input_file.value);
  jobs_.push_back({job, fingerprint, {}});
  return job;
}

Result<std::optional<Job>> MemoryStore::FindJob(const JobId& id) {
  const JobRow* row = JobOf(id);
  if (row == nullptr) return std::nullopt;
  return row->job;
}

Result<std::vector<Job>> MemoryStore::Jobs(const ListQuery& query) {
  std::vector<Job> newest_first;
  for (auto row = jobs_.rbegin(); row != jobs_.rend(); ++row) {
    if (!query.account || row->job.account == *query.account || query.after == row->job.id.value)
      newest_first.push_back(row->job);
  }
  return Cut(std::move(newest_first), query, "batch");
}

Result<std::vector<OpenJob>> MemoryStore::OpenJobs() {
  std::vector<OpenJob> open;
  for (const JobRow& row : jobs_) {
    if (IsFinal(row.job.state)) continue;
    open.push_back(
        {row.job, row.CountOf(RequestState::kPending), row.CountOf(RequestState::kLeased)});
  }
  return open;
}

Result<Job> MemoryStore::StartJob(const JobId& id, const ModelId& model,
                                  const Digest& model_artifact, std::span<const Request> requests,
                                  WallTime now) {
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

Result<Job> MemoryStore::FailJob(const JobId& id, std::span<const JobError> errors, WallTime now) {
  JobRow* row = JobOf(id);
  if (row == nullptr) return None("batch", id.value);
  if (row->job.state != JobState::kValidating) return WrongState(row->job, "validating");
  row->job.state = JobState::kFailed;
  row->job.errors.assign(errors.begin(), errors.end());
  row->job.failed_at = now;
  return row->job;
}

Result<Job> MemoryStore::StopJob(const JobId& id, StopReason reason, WallTime now) {
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

Result<Job> MemoryStore::FinishJob(const JobId& id, const std::optional<File>& output,
                                   const std::optional<File>& errors, WallTime now) {
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

Result<std::vector<RequestOutcome>> MemoryStore::Outcomes(const JobId& job, std::uint64_t first,
                                                          std::size_t count, Answers answers) {
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

Result<std::vector<Request>> MemoryStore::FindRequests(const JobId& job,
                                                       std::span<const std::uint64_t> indices) {
  const JobRow* row = JobOf(job);
  if (row == nullptr) return None("batch", job.value);
  std::vector<Request> requests;
  for (const std::uint64_t index : indices)
    if (index < row->requests.size()) requests.push_back(row->requests[index].request);
  return requests;
}

JobRow* MemoryStore::JobOf(const JobId& id) {
  const auto found =
      std::ranges::find_if(jobs_, [&](const JobRow& row) { return row.job.id == id; });
  return found == jobs_.end() ? nullptr : &*found;
}

}  // namespace fallow::memory
