// Job and request records in SQLite.
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "coordinator/store/sqlite/sqlite_store_internal.h"

namespace fallow::sqlite {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string FormatErrors(std::span<const JobError> errors) {
  Json list = Json::array();
  for (const JobError& error : errors)
    list.push_back({error.code, error.message, error.param, error.line});
  return Dump(list);
}

// Our own text; one that does not parse is shown as none rather than stopping the coordinator.
std::vector<JobError> ParseErrors(const std::string& text) {
  std::vector<JobError> errors;
  const Json list = Json::parse(text, nullptr, false);
  if (!list.is_array()) return errors;
  for (const Json& item : list) {
    if (!item.is_array() || item.size() != 4 || !item[0].is_string() || !item[1].is_string() ||
        !item[2].is_string() || !item[3].is_number_unsigned()) {
      continue;
    }
    errors.push_back({item[0], item[1], item[2], item[3]});
  }
  return errors;
}

std::map<std::string, std::string> ParseMetadata(const std::string& text) {
  std::map<std::string, std::string> metadata;
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) return metadata;
  for (const auto& [name, value] : object.items())
    if (value.is_string()) metadata.emplace(name, value);
  return metadata;
}

constexpr std::string_view kJobColumns =
    "id, account, endpoint, completion_window, input_file, input_artifact, model, model_artifact, "
    "state, total_count, completed_count, failed_count, prompt_tokens, completion_tokens, "
    "errors_json, metadata_json, output_file, error_file, created_at_ms, expires_at_ms, "
    "in_progress_at_ms, finalizing_at_ms, completed_at_ms, failed_at_ms, expired_at_ms, "
    "cancelling_at_ms, cancelled_at_ms, pending_count, leased_count";

// Reads the columns above but the last two.
Job TakeJob(Rows& rows) {
  Job job;
  job.id = rows.Take<JobId>();
  job.account = rows.Take<AccountId>();
  job.endpoint = rows.Take<std::string>();
  job.completion_window = rows.Take<std::string>();
  job.input_file = rows.Take<FileId>();
  job.input_artifact = rows.Take<Digest>();
  job.model = rows.Take<ModelId>();
  job.model_artifact = rows.Take<Digest>();
  job.state = rows.Take<JobState>();
  job.counts.total = rows.Take<std::uint64_t>();
  job.counts.completed = rows.Take<std::uint64_t>();
  job.counts.failed = rows.Take<std::uint64_t>();
  job.usage.prompt_tokens = rows.Take<std::uint64_t>();
  job.usage.completion_tokens = rows.Take<std::uint64_t>();
  job.errors = ParseErrors(rows.Take<std::string>());
  job.metadata = ParseMetadata(rows.Take<std::string>());
  job.output_file = rows.Take<std::optional<FileId>>();
  job.error_file = rows.Take<std::optional<FileId>>();
  job.created_at = rows.Take<WallTime>();
  job.expires_at = rows.Take<WallTime>();
  job.in_progress_at = rows.Take<std::optional<WallTime>>();
  job.finalizing_at = rows.Take<std::optional<WallTime>>();
  job.completed_at = rows.Take<std::optional<WallTime>>();
  job.failed_at = rows.Take<std::optional<WallTime>>();
  job.expired_at = rows.Take<std::optional<WallTime>>();
  job.cancelling_at = rows.Take<std::optional<WallTime>>();
  job.cancelled_at = rows.Take<std::optional<WallTime>>();
  return job;
}

constexpr std::string_view kRequestColumns =
    "request.idx, custom_id, line_offset, line_length, assigned_seed, max_tokens, request.state, "
    "input_count, vector_encoding";

Request TakeRequest(Rows& rows) {
  Request request;
  request.index = rows.Take<std::uint64_t>();
  request.custom_id = rows.Take<std::string>();
  request.offset = rows.Take<std::uint64_t>();
  request.length = rows.Take<std::uint32_t>();
  request.assigned_seed = rows.Take<std::uint64_t>();
  request.max_tokens = rows.Take<std::uint32_t>();
  request.state = rows.Take<RequestState>();
  request.input_count = rows.Take<std::uint32_t>();
  request.vector_encoding = rows.Take<VectorEncoding>();
  return request;
}

std::vector<std::uint32_t> TokensOf(const Bytes& bytes) {
  std::vector<std::uint32_t> tokens(bytes.size() / 4);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    for (int byte = 3; byte >= 0; --byte)
      tokens[i] = tokens[i] << 8 | bytes[4 * i + static_cast<std::size_t>(byte)];
  }
  return tokens;
}

std::vector<Digest> DigestsOf(const Bytes& bytes) {
  std::vector<Digest> digests(bytes.size() / 32);
  for (std::size_t i = 0; i < digests.size(); ++i)
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(32 * i), 32, digests[i].bytes.begin());
  return digests;
}

// `bytes` hold `count` vectors of one length.
std::vector<std::vector<float>> VectorsOf(const Bytes& bytes, std::size_t count) {
  const std::size_t length = bytes.size() / sizeof(float) / count;
  std::vector<std::vector<float>> vectors(count, std::vector<float>(length));
  for (std::size_t i = 0; i < count; ++i)
    std::memcpy(vectors[i].data(), bytes.data() + i * length * sizeof(float),
                length * sizeof(float));
  return vectors;
}

std::unexpected<Error> NoJob(Database& db, const JobId& id) {
  return db.Refuse(ErrorCode::kNotFound, fmt::format("no batch {}", id.value));
}

std::unexpected<Error> WrongState(Database& db, const Job& job, std::string_view wanted) {
  return db.Refuse(
      ErrorCode::kFailedPrecondition,
      fmt::format("batch {} is {}, not {}", job.id.value, JobStateName(job.state), wanted));
}

}  // namespace

std::optional<SqliteStore::JobRow> SqliteStore::ReadJob(const JobId& id) {
  static const std::string sql = fmt::format("SELECT {}, seq FROM job WHERE id = ?", kJobColumns);
  Rows rows = db_->Query(sql, id);
  if (!rows.Next()) return std::nullopt;
  JobRow row;
  row.job = TakeJob(rows);
  row.pending_count = rows.Take<std::uint64_t>();
  row.leased_count = rows.Take<std::uint64_t>();
  row.seq = rows.Take<std::int64_t>();
  return row;
}

Result<Job> SqliteStore::CreateJob(const Job& job, const Digest& fingerprint, WallTime since) {
  static const std::string insert = fmt::format(
      "INSERT INTO job ({}, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",
      kJobColumns);
  Transaction transaction(*db_, Durability::kAtCommit);
  std::optional<JobId> repeated;
  {
    Rows rows = db_->Query(
        "SELECT id FROM job WHERE fingerprint = ? AND created_at_ms >= ? AND state IN (1, 3, 4, 5) "
        "ORDER BY seq DESC LIMIT 1",
        fingerprint, since);
    if (rows.Next()) repeated = rows.Take<JobId>();
  }
  if (repeated) {
    const auto row = ReadJob(*repeated);
    if (!row) return NoJob(*db_, *repeated);
    return row->job;
  }
  if (!SeqOf("SELECT seq FROM file WHERE id = ?", job.input_file.value)) {
    return db_->Refuse(ErrorCode::kNotFound, fmt::format("no file {}", job.input_file.value));
  }
  db_->Run(insert, job.id, job.account, job.endpoint, job.completion_window, job.input_file,
           job.input_artifact, job.model, job.model_artifact, job.state, job.counts.total,
           job.counts.completed, job.counts.failed, job.usage.prompt_tokens,
           job.usage.completion_tokens, FormatErrors(job.errors), Dump(Json(job.metadata)),
           job.output_file, job.error_file, job.created_at, job.expires_at, job.in_progress_at,
           job.finalizing_at, job.completed_at, job.failed_at, job.expired_at, job.cancelling_at,
           job.cancelled_at, fingerprint);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return job;
}

Result<std::optional<Job>> SqliteStore::FindJob(const JobId& id) {
  auto row = ReadJob(id);
  return db_->Take(row ? std::optional<Job>(std::move(row->job)) : std::nullopt);
}

Result<std::vector<Job>> SqliteStore::Jobs(const ListQuery& query) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM job WHERE (?1 IS NULL OR account = ?1) AND seq < ?2 ORDER BY seq DESC LIMIT "
      "?3",
      kJobColumns);
  std::optional<std::int64_t> before = INT64_MAX;
  if (query.after) before = SeqOf("SELECT seq FROM job WHERE id = ?", *query.after);
  if (!before) {
    return db_->Refuse(ErrorCode::kInvalidArgument,
                       fmt::format("after: no batch {}", *query.after));
  }
  std::vector<Job> jobs;
  {
    Rows rows = db_->Query(sql, query.account, before, query.limit);
    while (rows.Next()) jobs.push_back(TakeJob(rows));
  }
  return db_->Take(std::move(jobs));
}

Result<std::vector<OpenJob>> SqliteStore::OpenJobs() {
  static const std::string sql =
      fmt::format("SELECT {} FROM job WHERE state IN (1, 3, 4, 7) ORDER BY seq", kJobColumns);
  std::vector<OpenJob> jobs;
  {
    Rows rows = db_->Query(sql);
    while (rows.Next()) {
      OpenJob open{TakeJob(rows)};
      open.pending_count = rows.Take<std::uint64_t>();
      open.leased_count = rows.Take<std::uint64_t>();
      jobs.push_back(std::move(open));
    }
  }
  return db_->Take(std::move(jobs));
}

Result<Job> SqliteStore::StartJob(const JobId& id, const ModelId& model,
                                  const Digest& model_artifact, std::span<const Request> requests,
                                  WallTime now) {
  Transaction transaction(*db_, Durability::kAtCommit);
  auto row = ReadJob(id);
  if (!row) return NoJob(*db_, id);
  if (row->job.state != JobState::kValidating) return WrongState(*db_, row->job, "validating");
  {
    Rows rows = db_->Query("SELECT artifact FROM model WHERE id = ?", model);
    if (!rows.Next() || rows.Take<Digest>() != model_artifact) {
      return db_->Refuse(ErrorCode::kFailedPrecondition,
                         fmt::format("model {} was removed or replaced", model.value));
    }
  }
  for (const Request& request : requests) {
    db_->Run(
        "INSERT INTO request (job_seq, idx, custom_id, line_offset, line_length, assigned_seed, "
        "max_tokens, input_count, vector_encoding, state, retry_count) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0)",
        row->seq, request.index, request.custom_id, request.offset, request.length,
        request.assigned_seed, request.max_tokens, request.input_count, request.vector_encoding);
  }
  db_->Run(
      "UPDATE job SET state = ?, model = ?, model_artifact = ?, total_count = ?, pending_count = "
      "?, "
      "in_progress_at_ms = ? WHERE seq = ?",
      JobState::kInProgress, model, model_artifact, requests.size(), requests.size(), now,
      row->seq);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  Job& job = row->job;
  job.state = JobState::kInProgress;
  job.model = model;
  job.model_artifact = model_artifact;
  job.counts.total = requests.size();
  job.in_progress_at = now;
  return job;
}

Result<Job> SqliteStore::FailJob(const JobId& id, std::span<const JobError> errors, WallTime now) {
  Transaction transaction(*db_, Durability::kAtCommit);
  auto row = ReadJob(id);
  if (!row) return NoJob(*db_, id);
  if (row->job.state != JobState::kValidating) return WrongState(*db_, row->job, "validating");
  db_->Run("UPDATE job SET state = ?, errors_json = ?, failed_at_ms = ? WHERE seq = ?",
           JobState::kFailed, FormatErrors(errors), now, row->seq);
  row = ReadJob(id);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return row->job;
}

Result<Job> SqliteStore::StopJob(const JobId& id, StopReason reason, WallTime now) {
  Transaction transaction(*db_, Durability::kAtCommit);
  auto row = ReadJob(id);
  if (!row) return NoJob(*db_, id);
  const bool cancel = reason == StopReason::kCancel;
  if (row->job.state == JobState::kValidating) {
    db_->Run(cancel ? "UPDATE job SET state = 8, cancelling_at_ms = ?1, cancelled_at_ms = ?1 "
                      "WHERE seq = ?2"
                    : "UPDATE job SET state = 6, expired_at_ms = ?1 WHERE seq = ?2",
             now, row->seq);
  } else if (row->job.state == JobState::kInProgress) {
    EndLeases(LiveLeasesOf("job_seq = ?", row->seq), now);
    db_->Run(cancel ? "UPDATE job SET state = 7, cancelling_at_ms = ? WHERE seq = ?"
                    : "UPDATE job SET state = 4, finalizing_at_ms = ? WHERE seq = ?",
             now, row->seq);
  } else {
    return db_->Take(row->job);
  }
  row = ReadJob(id);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return row->job;
}

Result<Job> SqliteStore::FinishJob(const JobId& id, const std::optional<File>& output,
                                   const std::optional<File>& errors, WallTime now) {
  Transaction transaction(*db_, Durability::kAtCommit);
  auto row = ReadJob(id);
  if (!row) return NoJob(*db_, id);
  const Job& job = row->job;
  if (job.state == JobState::kCancelling) {
    db_->Run("UPDATE job SET state = 8, cancelled_at_ms = ? WHERE seq = ?", now, row->seq);
  } else if (job.state != JobState::kFinalizing) {
    return WrongState(*db_, job, "finalizing or cancelling");
  } else if (job.counts.completed + job.counts.failed == job.counts.total) {
    db_->Run("UPDATE job SET state = 5, completed_at_ms = ? WHERE seq = ?", now, row->seq);
  } else {
    db_->Run("UPDATE job SET state = 6, expired_at_ms = ? WHERE seq = ?", now, row->seq);
  }
  if (output) InsertFile(*output);
  if (errors) InsertFile(*errors);
  db_->Run("UPDATE job SET output_file = ?, error_file = ? WHERE seq = ?",
           output ? std::optional(output->id) : std::nullopt,
           errors ? std::optional(errors->id) : std::nullopt, row->seq);
  row = ReadJob(id);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return row->job;
}

Result<std::vector<RequestOutcome>> SqliteStore::Outcomes(const JobId& job, std::uint64_t first,
                                                          std::size_t count, Answers answers) {
  // What a CASE does not choose is not read from the disk.
  static const std::string sql = fmt::format(
      "SELECT {}, lease.device, lease.id, received_at_ms, attempt_id, error_code, error_message, "
      "finish_reason, prompt_token_count, CASE WHEN ?4 THEN text ELSE '' END, "
      "CASE WHEN ?4 THEN token_ids ELSE x'' END, CASE WHEN ?4 THEN state_digests ELSE x'' END, "
      "CASE WHEN ?4 AND input_count > 0 THEN embeddings ELSE x'' END "
      "FROM request LEFT JOIN attempt ON attempt.lease_seq = canonical_lease_seq AND "
      "attempt.idx = request.idx LEFT JOIN lease ON lease.seq = canonical_lease_seq "
      "WHERE request.job_seq = ?1 AND request.idx >= ?2 ORDER BY request.idx LIMIT ?3",
      kRequestColumns);
  const auto seq = SeqOf("SELECT seq FROM job WHERE id = ?", job.value);
  if (!seq) return NoJob(*db_, job);
  std::vector<RequestOutcome> outcomes;
  {
    Rows rows = db_->Query(sql, seq, first, count, answers == Answers::kWith);
    std::size_t answer_bytes = 0;
    while (answer_bytes <= kMaxOutcomeBytes && rows.Next()) {
      RequestOutcome& outcome = outcomes.emplace_back();
      outcome.request = TakeRequest(rows);
      const auto device = rows.Take<std::optional<DeviceId>>();
      if (!device) continue;
      CanonicalResult& canonical = outcome.result.emplace();
      AttemptResult& result = canonical.result;
      canonical.custom_id = outcome.request.custom_id;
      canonical.device = *device;
      canonical.lease = rows.Take<LeaseId>();
      canonical.received_at = rows.Take<WallTime>();
      result.attempt = rows.Take<AttemptId>();
      result.request_index = outcome.request.index;
      const auto code = rows.Take<std::optional<ErrorCode>>();
      std::string message = rows.Take<std::string>();
      if (code) result.error = Error{*code, std::move(message)};
      result.finish_reason = rows.Take<FinishReason>();
      result.prompt_token_count = rows.Take<std::uint32_t>();
      result.text = rows.Take<std::string>();
      result.token_ids = TokensOf(rows.Take<Bytes>());
      result.state_digests = DigestsOf(rows.Take<Bytes>());
      const Bytes vectors = rows.Take<Bytes>();
      if (!vectors.empty()) result.embeddings = VectorsOf(vectors, outcome.request.input_count);
      answer_bytes += AnswerBytes(result);
    }
  }
  return db_->Take(std::move(outcomes));
}

Result<std::vector<Request>> SqliteStore::FindRequests(const JobId& job,
                                                       std::span<const std::uint64_t> indices) {
  static const std::string sql =
      fmt::format("SELECT {} FROM request WHERE job_seq = ? AND idx = ?", kRequestColumns);
  const auto seq = SeqOf("SELECT seq FROM job WHERE id = ?", job.value);
  if (!seq) return NoJob(*db_, job);
  std::vector<Request> requests;
  for (const std::uint64_t index : indices) {
    Rows rows = db_->Query(sql, seq, index);
    if (rows.Next()) requests.push_back(TakeRequest(rows));
  }
  return db_->Take(std::move(requests));
}

}  // namespace fallow::sqlite
