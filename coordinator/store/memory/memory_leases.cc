#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "coordinator/store/memory/memory_store_internal.h"

namespace fallow::memory {
namespace {

bool HoldsRequests(const JobRow& row, const LeaseId& lease) {
  return std::ranges::any_of(row.requests,
                             [&](const RequestRow& request) { return request.lease == lease; });
}

}  // namespace

Result<std::optional<GrantedLease>> MemoryStore::GrantLease(const LeaseOffer& offer) {
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

Result<std::optional<LeaseRecord>> MemoryStore::FindLease(const LeaseId& id) {
  const LeaseRow* row = LeaseOf(id);
  if (row == nullptr) return std::nullopt;
  return LeaseRecord{row->lease, row->live};
}

Result<std::vector<Lease>> MemoryStore::LiveLeases() {
  std::vector<Lease> live;
  for (const LeaseRow& row : leases_)
    if (row.live) live.push_back(row.lease);
  return live;
}

Result<std::size_t> MemoryStore::LiveLeaseCount(const DeviceId& device) {
  return static_cast<std::size_t>(std::ranges::count_if(
      leases_, [&](const LeaseRow& row) { return row.live && row.lease.device == device; }));
}

Result<std::vector<LeaseId>> MemoryStore::RenewLeases(const DeviceId& device,
                                                      std::span<const LeaseId> leases,
                                                      WallTime expires_at) {
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

Result<RecordedReport> MemoryStore::RecordResults(const JudgedReport& report) {
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

Result<std::optional<EndedLease>> MemoryStore::EndLease(const DeviceId& device,
                                                        const LeaseId& lease, WallTime) {
  auto ended = EndLeasesWhere(
      [&](const Lease& other) { return other.id == lease && other.device == device; });
  if (ended.empty()) return std::nullopt;
  return ended.front();
}

Result<std::vector<EndedLease>> MemoryStore::ExpireLeases(WallTime now) {
  return EndLeasesWhere([&](const Lease& lease) { return lease.expires_at <= now; });
}

LeaseRow* MemoryStore::LeaseOf(const LeaseId& id) {
  const auto found =
      std::ranges::find_if(leases_, [&](const LeaseRow& row) { return row.lease.id == id; });
  return found == leases_.end() ? nullptr : &*found;
}

bool MemoryStore::IsLeftToOthers(const RequestRow& request, const LeaseOffer& offer) {
  const auto& retried = request.retried;
  if (!retried || retried->at < offer.elsewhere_since) return false;
  if (retried->device == offer.device) return true;
  const Device* tried = DeviceOf(retried->device);
  const Device* asking = DeviceOf(offer.device);
  return retried->why == ErrorCode::kResourceExhausted && tried != nullptr && asking != nullptr &&
         tried->profile.memory_bytes >= asking->profile.memory_bytes;
}

std::vector<EndedLease> MemoryStore::EndLeasesWhere(
    const std::function<bool(const Lease&)>& condition) {
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

void MemoryStore::RecordAttempt(JobRow& job, LeaseRow& lease, const JudgedReport& report,
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

}  // namespace fallow::memory
