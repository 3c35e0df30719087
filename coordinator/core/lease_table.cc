#include "coordinator/core/lease_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "coordinator/core/batch_line.h"
#include "coordinator/core/embedding_model.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/model_facts.h"
#include "coordinator/core/result_verifier.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

// A device that has not asked for so long does not count when a job's rest is shared out.
constexpr std::chrono::milliseconds kLiveDeviceWindow{120'000};
// A job whose input cannot be read is looked at again after so long, …
constexpr std::chrono::milliseconds kUnreadableInputRetry{60'000};
// … and its requests fail when it stays so: a disk that is not mounted yet must not fail them.
constexpr std::chrono::milliseconds kUnreadableInputPatience{600'000};

}  // namespace

// --- Granting ---------------------------------------------------------------------------------

Result<std::optional<LeaseGrant>> LeaseTable::Grant(const DeviceId& device,
                                                    const LeaseRequest& request) {
  FALLOW_ASSIGN_OR_RETURN(const Device known,
                          devices_.Heard(device, request.status, &request.profile));
  DeviceMemory& memory = device_memory_[device];
  memory.last_asked = clock_.Steady();
  if (memory.paused_until) {
    if (clock_.Steady() < *memory.paused_until) return std::nullopt;
    memory.paused_until.reset();
  }
  if (request.max_request_count == 0) return std::nullopt;
  FALLOW_ASSIGN_OR_RETURN(const std::size_t held, store_.LiveLeaseCount(device));
  if (held >= kMaxLeasesPerDevice) return std::nullopt;

  FALLOW_ASSIGN_OR_RETURN(const auto views, ViewJobs(request));
  const DeviceView asking{.tokens_per_second = known.status.tokens_per_second,
                          .max_request_count = request.max_request_count,
                          .embedding_tokens_per_second = known.status.embedding_tokens_per_second};
  // One job whose input is damaged must not keep the others from being worked on.
  std::optional<Error> error;
  for (const ShardPlan& plan :
       PlanShards(asking, views, LiveDeviceCount(), options_.target_shard_time)) {
    auto grant = GrantFrom(device, plan);
    if (grant && *grant) return grant;
    if (!grant) error = std::move(grant).error();
  }
  if (error) return std::unexpected(*std::move(error));
  return std::nullopt;
}

Result<std::vector<JobView>> LeaseTable::ViewJobs(const LeaseRequest& request) {
  FALLOW_ASSIGN_OR_RETURN(const auto open, store_.OpenJobs());
  std::vector<JobView> views;
  std::map<JobId, JobMemory> memory;  // of jobs that are still open
  for (const OpenJob& entry : open) {
    const Job& job = entry.job;
    if (job.state != JobState::kInProgress) continue;
    JobMemory remembered{.last_granted = clock_.Steady()};
    if (const auto found = job_memory_.find(job.id); found != job_memory_.end())
      remembered = found->second;
    memory.emplace(job.id, remembered);
    if (remembered.unreadable_since && clock_.Steady() < remembered.next_look) continue;
    if (job.asks_for_vectors() && !request.takes_inputs) continue;
    JobView& view = views.emplace_back();
    view.job = job.id;
    view.account = job.account;
    view.expires_at = job.expires_at;
    view.pending_count = entry.pending_count;
    view.leased_count = entry.leased_count;
    view.asks_for_vectors = job.asks_for_vectors();
    if (job.counts.completed > 0) {
      view.tokens_per_request =
          static_cast<double>(job.work_token_count()) / static_cast<double>(job.counts.completed);
    }
    view.model_cached =
        std::ranges::find(request.cached_models, job.model_artifact) != request.cached_models.end();
    view.neglected = entry.leased_count == 0 &&
                     clock_.Steady() - remembered.last_granted >= kModelAffinityPatience;
    view.account_turn = account_turns_[job.account];
  }
  job_memory_ = std::move(memory);
  return views;
}

std::size_t LeaseTable::LiveDeviceCount() {
  const SteadyTime now = clock_.Steady();
  std::erase_if(device_memory_, [&](const auto& entry) {
    const DeviceMemory& memory = entry.second;
    return now - memory.last_asked > kLiveDeviceWindow &&
           (!memory.paused_until || *memory.paused_until <= now);
  });
  return static_cast<std::size_t>(std::ranges::count_if(device_memory_, [&](const auto& entry) {
    return now - entry.second.last_asked <= kLiveDeviceWindow && !entry.second.paused_until;
  }));
}

Result<std::optional<LeaseGrant>> LeaseTable::GrantFrom(const DeviceId& device,
                                                        const ShardPlan& plan) {
  LeaseOffer offer;
  offer.lease = LeaseId("lease_" + random_.Hex(12));
  offer.device = device;
  offer.job = plan.job;
  offer.max_request_count = plan.max_request_count;
  offer.max_line_bytes = kMaxShardLineBytes;
  offer.granted_at = clock_.Wall();
  offer.expires_at = offer.granted_at + options_.lease_duration;
  offer.elsewhere_since = offer.granted_at - kElsewherePatience;
  FALLOW_ASSIGN_OR_RETURN(const auto job, store_.FindJob(plan.job));
  if (!job) return std::nullopt;
  FALLOW_ASSIGN_OR_RETURN(const auto model, store_.FindModel(job->model));
  if (!model || model->artifact != job->model_artifact) {
    return Fail(ErrorCode::kInternal,
                fmt::format("batch {}: its model {} is gone", job->id.value, job->model.value));
  }
  offer.max_input_count = plan.max_input_count;
  if (const std::uint64_t vector_bytes = sizeof(float) * EmbeddingLength(*model); vector_bytes > 0)
    offer.max_input_count = std::min(offer.max_input_count, kMaxShardVectorBytes / vector_bytes);
  FALLOW_ASSIGN_OR_RETURN(const auto granted, store_.GrantLease(offer));
  if (!granted) return std::nullopt;

  auto requests = ReadShard(*job, granted->requests);
  if (!requests) {
    FALLOW_RETURN_IF_ERROR(PutAside(*job, granted->lease, requests.error()));
    return std::nullopt;
  }
  job_memory_[job->id] = {.last_granted = clock_.Steady(), .last_turn = ++turn_};
  account_turns_[job->account] = turn_;
  LOG_INFO("leases: granted lease={} job={} device={} requests={}", offer.lease.value,
           job->id.value, device.value, requests->size());
  events_.Publish(JobChanged{job->id, job->account});
  LeaseGrant grant;
  grant.lease = offer.lease;
  grant.job = job->id;
  grant.model = {model->id, model->artifact, model->size_bytes};
  grant.duration = options_.lease_duration;
  grant.requests = *std::move(requests);
  return grant;
}

Status LeaseTable::PutAside(const Job& job, const Lease& lease, const Error& why) {
  LOG_ERROR("leases: cannot read a shard job={} error={}", job.id.value, why.message);
  const SteadyTime now = clock_.Steady();
  JobMemory& memory = job_memory_[job.id];
  if (!memory.unreadable_since) memory.unreadable_since = now;
  const bool lost = why.code == ErrorCode::kNotFound || why.code == ErrorCode::kDataLoss;
  if (lost && now - *memory.unreadable_since >= kUnreadableInputPatience)
    return FailRequests(job, lease);
  memory.next_look = now + kUnreadableInputRetry;
  FALLOW_RETURN_IF_ERROR(store_.EndLease(lease.device, lease.id, clock_.Wall()));
  return {};
}

Status LeaseTable::FailRequests(const Job& job, const Lease& lease) {
  JudgedReport judged{.lease = lease.id, .device = lease.device, .attempts = {}};
  judged.received_at = judged.renewed_until = clock_.Wall();
  for (const std::uint64_t index : lease.request_indices) {
    JudgedAttempt& attempt = judged.attempts.emplace_back();
    attempt.result.attempt = AttemptId("att_" + random_.Hex(12));
    attempt.result.request_index = index;
    attempt.result.error = Error{ErrorCode::kDataLoss,
                                 "the batch's input can no longer be read: upload the file again"};
  }
  FALLOW_ASSIGN_OR_RETURN(const RecordedReport recorded, store_.RecordResults(judged));
  JobProgressed(job.id);
  if (recorded.job_settled)
    jobs_.Finalize(job.id);
  else
    events_.Publish(WorkAvailable{});  // for the requests that are left: they are looked at at once
  return {};
}

Result<std::vector<InferenceRequest>> LeaseTable::ReadShard(const Job& job,
                                                            const std::vector<Request>& requests) {
  FALLOW_ASSIGN_OR_RETURN(const auto reader, artifacts_.Open(job.input_artifact));
  std::vector<InferenceRequest> shard;
  std::string line;
  for (const Request& request : requests) {
    line.resize(request.length);
    FALLOW_ASSIGN_OR_RETURN(
        const std::size_t count,
        reader->ReadAt(request.offset,
                       {reinterpret_cast<std::uint8_t*>(line.data()), line.size()}));
    auto parsed = ParseBatchLine(std::string_view(line).substr(0, count), job.endpoint);
    if (!parsed || parsed->custom_id != request.custom_id ||
        parsed->request.inputs.size() != request.input_count) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("batch {}: request {} is not what was validated", job.id.value,
                              request.index));
    }
    InferenceRequest& inference = shard.emplace_back(std::move(parsed->request));
    inference.index = request.index;
    if (job.asks_for_vectors()) continue;
    inference.max_tokens = request.max_tokens;
    if (!parsed->has_seed) inference.sampling.seed = request.assigned_seed;
  }
  return shard;
}

// --- Results ----------------------------------------------------------------------------------

Result<ReportReply> LeaseTable::Report(const DeviceId& device, const ReportRequest& report) {
  FALLOW_RETURN_IF_ERROR(devices_.Heard(device, report.status, nullptr));
  FALLOW_ASSIGN_OR_RETURN(const auto record, store_.FindLease(report.lease));
  if (!record || record->lease.device != device) {
    LOG_WARN("leases: report on an unknown lease device={} lease={}", device.value,
             report.lease.value);
    return ReportReply{false};
  }
  JudgedReport judged;
  judged.lease = report.lease;
  judged.device = device;
  judged.received_at = clock_.Wall();
  judged.renewed_until = judged.received_at + options_.lease_duration;
  judged.max_retry_count = kMaxRetries;
  FALLOW_ASSIGN_OR_RETURN(judged.attempts, Judge(device, record->lease, report.results));
  FALLOW_ASSIGN_OR_RETURN(const RecordedReport recorded, store_.RecordResults(judged));
  if (recorded.returned_count > 0) events_.Publish(WorkAvailable{});
  if (recorded.settled_count > 0 || recorded.returned_count > 0) JobProgressed(record->lease.job);
  if (recorded.job_settled) jobs_.Finalize(record->lease.job);
  return ReportReply{recorded.lease_live};
}

Result<std::vector<JudgedAttempt>> LeaseTable::Judge(const DeviceId& device, const Lease& lease,
                                                     const std::vector<AttemptResult>& results) {
  std::vector<std::uint64_t> indices;
  std::vector<const AttemptResult*> inside;
  for (const AttemptResult& result : results) {
    if (!std::ranges::binary_search(lease.request_indices, result.request_index)) {
      LOG_WARN("leases: result outside its lease device={} lease={} request={}", device.value,
               lease.id.value, result.request_index);
      continue;
    }
    indices.push_back(result.request_index);
    inside.push_back(&result);
  }
  if (inside.empty()) return std::vector<JudgedAttempt>{};
  FALLOW_ASSIGN_OR_RETURN(const auto requests, store_.FindRequests(lease.job, indices));
  if (requests.size() != inside.size()) {
    return Fail(ErrorCode::kInternal,
                fmt::format("lease {} has requests that its job lacks", lease.id.value));
  }
  FALLOW_ASSIGN_OR_RETURN(const auto job, store_.FindJob(lease.job));
  AttemptBounds bounds;
  if (job) {
    FALLOW_ASSIGN_OR_RETURN(const auto model, store_.FindModel(job->model));
    if (model) {
      bounds.context_length = ContextLength(*model);
      bounds.embedding_length = EmbeddingLength(*model);
    }
  }
  std::vector<JudgedAttempt> judged;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    bounds.max_tokens = requests[i].max_tokens;
    bounds.input_count = requests[i].input_count;
    judged.push_back(JudgeAttempt(*inside[i], bounds));
    NotePlausibility(device, inside[i]->error || judged.back().verdict == Verdict::kCanonical);
    if (judged.back().verdict == Verdict::kRetry) {
      LOG_WARN("leases: unusable result device={} lease={} request={} error={}", device.value,
               lease.id.value, inside[i]->request_index, judged.back().result.error->message);
    }
  }
  return judged;
}

void LeaseTable::NotePlausibility(const DeviceId& device, bool plausible) {
  DeviceMemory& memory = device_memory_[device];
  if (plausible) {
    memory.implausible_in_a_row = 0;
    return;
  }
  if (++memory.implausible_in_a_row < kMaxImplausibleResults) return;
  if (!memory.paused_until) LOG_WARN("leases: no more work for now device={}", device.value);
  memory.paused_until = clock_.Steady() + kImplausibleResultPause;
}

// --- Keeping and ending -----------------------------------------------------------------------

Result<HeartbeatReply> LeaseTable::Heartbeat(const DeviceId& device,
                                             const HeartbeatRequest& heartbeat) {
  FALLOW_RETURN_IF_ERROR(devices_.Heard(device, heartbeat.status, nullptr));
  if (heartbeat.leases.empty()) return HeartbeatReply{};
  FALLOW_ASSIGN_OR_RETURN(auto ended, store_.RenewLeases(device, heartbeat.leases,
                                                         clock_.Wall() + options_.lease_duration));
  return HeartbeatReply{std::move(ended)};
}

Status LeaseTable::Release(const DeviceId& device, const ReleaseRequest& release) {
  FALLOW_RETURN_IF_ERROR(devices_.Heard(device, release.status, nullptr));
  FALLOW_ASSIGN_OR_RETURN(const auto ended, store_.EndLease(device, release.lease, clock_.Wall()));
  if (ended) Ended({*ended}, "released: " + release.reason);
  return {};
}

Status LeaseTable::ExpireDue() {
  FALLOW_ASSIGN_OR_RETURN(const auto ended, store_.ExpireLeases(clock_.Wall()));
  Ended(ended, "expired");
  return {};
}

void LeaseTable::Ended(const std::vector<EndedLease>& leases, std::string_view why) {
  for (const EndedLease& lease : leases) {
    LOG_INFO("leases: ended lease={} device={} returned={} reason={}", lease.lease.value,
             lease.device.value, lease.returned_count, why);
    JobProgressed(lease.job);
    events_.Publish(DeviceChanged{lease.device});
  }
  if (!leases.empty()) events_.Publish(WorkAvailable{});
}

void LeaseTable::JobProgressed(const JobId& id) {
  const auto job = store_.FindJob(id);
  if (job && *job) events_.Publish(JobChanged{id, (*job)->account});
}

}  // namespace fallow
