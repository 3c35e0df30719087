#include "coordinator/core/job_registry.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/completion.h"
#include "coordinator/core/embedding_output.h"
#include "coordinator/core/file_registry.h"
#include "coordinator/core/input_validator.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/output_assembler.h"
#include "coordinator/core/utf8.h"

namespace fallow {
namespace {

constexpr std::string_view kCompletionWindow = "24h";
constexpr std::size_t kMaxPageJobs = 100;
constexpr std::size_t kMaxRequestsShown = 100;

Status CheckNewJob(const NewJob& job) {
  if (!IsEndpoint(job.endpoint)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("endpoint must be \"{}\" or \"{}\"",
                                                         kChatEndpoint, kEmbeddingsEndpoint));
  }
  if (job.completion_window != kCompletionWindow) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("completion_window must be \"{}\"", kCompletionWindow));
  }
  if (job.metadata.size() > kMaxMetadataPairs) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("metadata may have at most {} pairs", kMaxMetadataPairs));
  }
  for (const auto& [name, value] : job.metadata) {
    if (name.empty() || name.size() > kMaxMetadataNameBytes ||
        value.size() > kMaxMetadataValueBytes || !IsUtf8(name) || !IsUtf8(value)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("metadata: names have 1 to {} bytes, values at most {}, in UTF-8",
                              kMaxMetadataNameBytes, kMaxMetadataValueBytes));
    }
  }
  return {};
}

// What makes two creates equal.
Digest Fingerprint(const NewJob& job) {
  Sha256 sha256;
  const auto add = [&](std::string_view part) {
    sha256.Update(fmt::format("{}:", part.size()));
    sha256.Update(part);
  };
  add(job.account.value);
  add(job.input_file.value);
  add(job.endpoint);
  add(job.completion_window);
  for (const auto& [name, value] : job.metadata) {
    add(name);
    add(value);
  }
  return sha256.Finish();
}

// Empty if it cannot be read.
std::string ReadLine(ArtifactReader& input, const Request& request) {
  std::string line(request.length, '\0');
  const auto read =
      input.ReadAt(request.offset, {reinterpret_cast<std::uint8_t*>(line.data()), line.size()});
  return read && *read == line.size() ? line : "";
}

}  // namespace

Result<Job> JobRegistry::Create(const NewJob& request) {
  FALLOW_RETURN_IF_ERROR(CheckNewJob(request));
  FALLOW_ASSIGN_OR_RETURN(const auto file, store_.FindFile(request.input_file));
  if (!file || file->account != request.account)
    return Fail(ErrorCode::kNotFound, fmt::format("no file {}", request.input_file.value));
  if (file->purpose != FilePurpose::kBatch) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("file {} must have the purpose \"batch\"", file->id.value));
  }
  Job job;
  job.id = JobId("batch_" + random_.Hex(12));
  job.account = request.account;
  job.endpoint = request.endpoint;
  job.completion_window = request.completion_window;
  job.input_file = request.input_file;
  job.input_artifact = file->artifact;
  job.metadata = request.metadata;
  job.created_at = clock_.Wall();
  job.expires_at = job.created_at + options_.job_lifetime;
  FALLOW_ASSIGN_OR_RETURN(const Job made, store_.CreateJob(job, Fingerprint(request),
                                                           job.created_at - kCreateRepeatWindow));
  if (made.id == job.id) {
    LOG_INFO("jobs: created job={} file={}", made.id.value, made.input_file.value);
    Changed(made);
    Validate(made);
  }
  return made;
}

Result<Job> JobRegistry::Get(const AccountId& account, const JobId& id) {
  FALLOW_ASSIGN_OR_RETURN(Job job, GetAny(id));
  if (job.account != account)
    return Fail(ErrorCode::kNotFound, fmt::format("no batch {}", id.value));
  return job;
}

Result<Job> JobRegistry::GetAny(const JobId& id) {
  FALLOW_ASSIGN_OR_RETURN(auto job, store_.FindJob(id));
  if (!job) return Fail(ErrorCode::kNotFound, fmt::format("no batch {}", id.value));
  return *std::move(job);
}

Result<Page<Job>> JobRegistry::List(const AccountId& account, const PageRequest& page) {
  if (page.after) FALLOW_RETURN_IF_ERROR(Get(account, JobId(*page.after)));
  return ListOf(account, page);
}

Result<Page<Job>> JobRegistry::ListAll(const PageRequest& page) {
  return ListOf(std::nullopt, page);
}

Result<Page<Job>> JobRegistry::ListOf(const std::optional<AccountId>& account,
                                      const PageRequest& page) {
  if (page.limit < 1 || page.limit > kMaxPageJobs) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("limit must be from 1 to {}", kMaxPageJobs));
  }
  FALLOW_ASSIGN_OR_RETURN(auto jobs, store_.Jobs({account, page.after, page.limit + 1}));
  return CutPage(std::move(jobs), page.limit);
}

Result<Job> JobRegistry::Cancel(const AccountId& account, const JobId& id) {
  FALLOW_ASSIGN_OR_RETURN(const Job before, Get(account, id));
  FALLOW_ASSIGN_OR_RETURN(const Job job, store_.StopJob(id, StopReason::kCancel, clock_.Wall()));
  if (job.state != JobState::kCancelling && job.state != JobState::kCancelled) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("batch {} is {} and cannot be cancelled", id.value, JobStateName(job.state)));
  }
  if (job.state == before.state) return job;  // a repeated cancel
  LOG_INFO("jobs: cancelled job={}", id.value);
  if (job.state == JobState::kCancelling) Assemble(job);
  Changed(job);
  return job;
}

Result<std::vector<JobService::RequestView>> JobRegistry::Requests(const AccountId& account,
                                                                   const JobId& id,
                                                                   std::uint64_t first,
                                                                   std::size_t count) {
  if (count < 1 || count > kMaxRequestsShown) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("count must be from 1 to {}", kMaxRequestsShown));
  }
  FALLOW_ASSIGN_OR_RETURN(const Job job, Get(account, id));
  // The input may be gone by now: the answers are shown all the same.
  const auto reader = artifacts_.Open(job.input_artifact);
  std::vector<RequestView> views;
  std::size_t shown_bytes = 0;
  while (views.size() < count) {
    const bool full = shown_bytes >= kMaxRequestsShownBytes;
    FALLOW_ASSIGN_OR_RETURN(auto outcomes,
                            store_.Outcomes(id, first + views.size(), count - views.size(),
                                            full ? Answers::kWithout : Answers::kWith));
    if (outcomes.empty()) break;
    for (RequestOutcome& outcome : outcomes) {
      RequestView& view = views.emplace_back();
      if (shown_bytes < kMaxRequestsShownBytes) {
        if (reader) view.line = ReadLine(**reader, outcome.request);
        if (outcome.result && !outcome.result->result.error) {
          const AttemptResult& answer = outcome.result->result;
          view.response_json = job.asks_for_vectors() ? EmbeddingPreviewJson(job, answer)
                                                      : CompletionJson(job, *outcome.result);
          shown_bytes += AnswerBytes(answer);
        }
        shown_bytes += view.line.size();
      }
      view.request = std::move(outcome.request);
      view.result = std::move(outcome.result);
      if (view.result) ForgetAnswer(view.result->result);
    }
  }
  return views;
}

Status JobRegistry::Resume() {
  FALLOW_ASSIGN_OR_RETURN(const auto open, store_.OpenJobs());
  for (const OpenJob& entry : open) {
    const Job& job = entry.job;
    if (job.state == JobState::kInProgress) continue;
    LOG_INFO("jobs: going on job={} state={}", job.id.value, JobStateName(job.state));
    if (job.state == JobState::kValidating) {
      Validate(job);
    } else {
      Assemble(job);
    }
  }
  return {};
}

Status JobRegistry::ExpireDue() {
  FALLOW_ASSIGN_OR_RETURN(const auto open, store_.OpenJobs());
  for (const OpenJob& entry : open) {
    const bool waiting =
        entry.job.state == JobState::kInProgress || entry.job.state == JobState::kValidating;
    if (!waiting || entry.job.expires_at > clock_.Wall()) continue;
    FALLOW_ASSIGN_OR_RETURN(const Job job,
                            store_.StopJob(entry.job.id, StopReason::kExpire, clock_.Wall()));
    LOG_WARN("jobs: expired job={} completed={} total={}", job.id.value, job.counts.completed,
             job.counts.total);
    if (job.state == JobState::kFinalizing) Assemble(job);
    Changed(job);
  }
  return {};
}

void JobRegistry::Finalize(const JobId& id) {
  const auto job = store_.FindJob(id);
  if (!job) return LOG_ERROR("jobs: {}", job.error().message);
  if (*job && (*job)->state == JobState::kFinalizing) Assemble(**job);
}

void JobRegistry::Validate(const Job& job) {
  tasks_.Add(NewInputValidator(job, store_, artifacts_, clock_, [this](const Job& ended) {
    Changed(ended);
    if (ended.state == JobState::kInProgress) events_.Publish(WorkAvailable{});
  }));
}

void JobRegistry::Assemble(const Job& job) {
  tasks_.Add(NewOutputAssembler(job, options_.file_lifetime, store_, artifacts_, clock_, random_,
                                [this](const Job& ended) { Changed(ended); }));
}

}  // namespace fallow
