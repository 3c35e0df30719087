// Leases, attempts and the settling of requests in SQLite.
//
// Invariants: request.lease_seq names the live lease of a leased request and is NULL otherwise; a
// job's pending_count and leased_count are the numbers of its requests in those states.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/store/index_ranges.h"
#include "coordinator/store/sqlite/sqlite_store_internal.h"

namespace fallow::sqlite {
namespace {

constexpr std::string_view kLeaseSelect =
    "SELECT lease.seq, job_seq, lease.id, device, job.id, request_indices, granted_at_ms, "
    "lease.expires_at_ms, ended_at_ms FROM lease JOIN job ON job.seq = job_seq WHERE ";

// Of a pending request that device ?1, with ?2 bytes of memory, is to leave to others after time
// ?3.
constexpr std::string_view kLeftToOthers =
    "EXISTS (SELECT 1 FROM attempt JOIN lease ON lease.seq = attempt.lease_seq "
    "LEFT JOIN device ON device.id = lease.device "
    "WHERE attempt.lease_seq = retried_lease_seq AND attempt.idx = request.idx "
    "AND received_at_ms >= ?3 AND (lease.device = ?1 OR (error_code = ?4 AND memory_bytes >= ?2)))";

Bytes PackTokens(const std::vector<std::uint32_t>& tokens) {
  Bytes bytes;
  bytes.reserve(4 * tokens.size());
  for (const std::uint32_t token : tokens) {
    for (int byte = 0; byte < 4; ++byte)
      bytes.push_back(static_cast<std::uint8_t>(token >> (8 * byte)));
  }
  return bytes;
}

Bytes PackDigests(const std::vector<Digest>& digests) {
  Bytes bytes;
  bytes.reserve(32 * digests.size());
  for (const Digest& digest : digests)
    bytes.insert(bytes.end(), digest.bytes.begin(), digest.bytes.end());
  return bytes;
}

Bytes PackVectors(const std::vector<std::vector<float>>& vectors) {
  Bytes bytes;
  if (!vectors.empty()) bytes.reserve(vectors.size() * vectors[0].size() * sizeof(float));
  for (const std::vector<float>& vector : vectors) {
    const ByteView view = VectorBytes(vector);
    bytes.insert(bytes.end(), view.begin(), view.end());
  }
  return bytes;
}

}  // namespace

LeaseRow SqliteStore::TakeLease(Rows& rows) {
  LeaseRow row;
  row.seq = rows.Take<std::int64_t>();
  row.job_seq = rows.Take<std::int64_t>();
  row.lease.id = rows.Take<LeaseId>();
  row.lease.device = rows.Take<DeviceId>();
  row.lease.job = rows.Take<JobId>();
  row.lease.request_indices =
      ParseIndexRanges(rows.Take<std::string>()).value_or(std::vector<std::uint64_t>{});
  row.lease.granted_at = rows.Take<WallTime>();
  row.lease.expires_at = rows.Take<WallTime>();
  row.live = !rows.Take<std::optional<WallTime>>().has_value();
  return row;
}

std::optional<LeaseRow> SqliteStore::ReadLease(const LeaseId& id) {
  static const std::string sql = fmt::format("{} lease.id = ?", kLeaseSelect);
  Rows rows = db_->Query(sql, id);
  if (!rows.Next()) return std::nullopt;
  return TakeLease(rows);
}

std::vector<LeaseRow> SqliteStore::LiveLeasesOf(std::string_view condition, std::int64_t argument) {
  std::vector<LeaseRow> live;
  Rows rows = db_->Query(
      fmt::format("{} ended_at_ms IS NULL AND {} ORDER BY lease.seq", kLeaseSelect, condition),
      argument);
  while (rows.Next()) live.push_back(TakeLease(rows));
  return live;
}

EndedLease SqliteStore::EndLeaseRow(const LeaseRow& row, WallTime now) {
  const auto returned =
      db_->Run("UPDATE request SET state = 1, lease_seq = NULL WHERE lease_seq = ?", row.seq);
  db_->Run(
      "UPDATE job SET pending_count = pending_count + ?1, leased_count = leased_count - ?1 "
      "WHERE seq = ?2",
      returned, row.job_seq);
  db_->Run("UPDATE lease SET ended_at_ms = ? WHERE seq = ?", now, row.seq);
  return {row.lease.id, row.lease.device, row.lease.job, static_cast<std::size_t>(returned)};
}

std::vector<EndedLease> SqliteStore::EndLeases(const std::vector<LeaseRow>& rows, WallTime now) {
  std::vector<EndedLease> ended;
  for (const LeaseRow& row : rows) ended.push_back(EndLeaseRow(row, now));
  return ended;
}

Result<std::optional<GrantedLease>> SqliteStore::GrantLease(const LeaseOffer& offer) {
  static const std::string select = fmt::format(
      "SELECT idx, custom_id, line_offset, line_length, assigned_seed, max_tokens, input_count, "
      "vector_encoding FROM request INDEXED BY request_pending "
      "WHERE job_seq = ?5 AND state = 1 AND (retried_lease_seq IS NULL OR NOT {}) "
      "ORDER BY idx LIMIT ?6",
      kLeftToOthers);
  static const std::string update = fmt::format(
      "UPDATE request INDEXED BY request_pending SET state = 2, lease_seq = ?7 "
      "WHERE job_seq = ?5 AND state = 1 AND (retried_lease_seq IS NULL OR NOT {}) AND idx <= ?6",
      kLeftToOthers);
  Transaction transaction(*db_, Durability::kSoon);
  const auto job_seq = SeqOf("SELECT seq FROM job WHERE id = ? AND state = 3 AND pending_count > 0",
                             offer.job.value);
  if (!job_seq) return db_->Take(std::optional<GrantedLease>());
  const auto memory_bytes =
      SeqOf("SELECT memory_bytes FROM device WHERE id = ?", offer.device.value);
  GrantedLease granted;
  std::uint64_t line_bytes = 0, input_count = 0;
  {
    Rows rows = db_->Query(select, offer.device, memory_bytes, offer.elsewhere_since,
                           ErrorCode::kResourceExhausted, job_seq, offer.max_request_count);
    while (rows.Next()) {
      Request request;
      request.index = rows.Take<std::uint64_t>();
      request.custom_id = rows.Take<std::string>();
      request.offset = rows.Take<std::uint64_t>();
      request.length = rows.Take<std::uint32_t>();
      request.assigned_seed = rows.Take<std::uint64_t>();
      request.max_tokens = rows.Take<std::uint32_t>();
      request.input_count = rows.Take<std::uint32_t>();
      request.vector_encoding = rows.Take<VectorEncoding>();
      request.state = RequestState::kLeased;
      line_bytes += request.length;
      input_count += request.input_count;
      const bool full = line_bytes > offer.max_line_bytes || input_count > offer.max_input_count;
      if (!granted.requests.empty() && full) break;
      granted.lease.request_indices.push_back(request.index);
      granted.requests.push_back(std::move(request));
    }
  }
  if (granted.requests.empty()) return db_->Take(std::optional<GrantedLease>());
  granted.lease.id = offer.lease;
  granted.lease.device = offer.device;
  granted.lease.job = offer.job;
  granted.lease.granted_at = offer.granted_at;
  granted.lease.expires_at = offer.expires_at;
  db_->Run(
      "INSERT INTO lease (id, device, job_seq, request_indices, granted_at_ms, expires_at_ms) "
      "VALUES (?, ?, ?, ?, ?, ?)",
      offer.lease, offer.device, job_seq, FormatIndexRanges(granted.lease.request_indices),
      offer.granted_at, offer.expires_at);
  const std::int64_t lease_seq = db_->LastInsertedSeq();
  // These are the first pending requests that it may have, so the last index bounds them.
  const auto leased = db_->Run(update, offer.device, memory_bytes, offer.elsewhere_since,
                               ErrorCode::kResourceExhausted, job_seq,
                               granted.lease.request_indices.back(), lease_seq);
  db_->Run(
      "UPDATE job SET pending_count = pending_count - ?1, leased_count = leased_count + ?1 "
      "WHERE seq = ?2",
      leased, job_seq);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return granted;
}

Result<std::optional<LeaseRecord>> SqliteStore::FindLease(const LeaseId& id) {
  auto row = ReadLease(id);
  std::optional<LeaseRecord> record;
  if (row) record = LeaseRecord{std::move(row->lease), row->live};
  return db_->Take(std::move(record));
}

Result<std::vector<Lease>> SqliteStore::LiveLeases() {
  std::vector<Lease> leases;
  for (LeaseRow& row : LiveLeasesOf("lease.seq > ?", 0)) leases.push_back(std::move(row.lease));
  return db_->Take(std::move(leases));
}

Result<std::size_t> SqliteStore::LiveLeaseCount(const DeviceId& device) {
  std::size_t count = 0;
  {
    Rows rows =
        db_->Query("SELECT COUNT(*) FROM lease WHERE ended_at_ms IS NULL AND device = ?", device);
    if (rows.Next()) count = rows.Take<std::size_t>();
  }
  return db_->Take(count);
}

Result<std::vector<LeaseId>> SqliteStore::RenewLeases(const DeviceId& device,
                                                      std::span<const LeaseId> leases,
                                                      WallTime expires_at) {
  Transaction transaction(*db_, Durability::kSoon);
  std::vector<LeaseId> ended;
  for (const LeaseId& lease : leases) {
    const auto renewed = db_->Run(
        "UPDATE lease SET expires_at_ms = MAX(expires_at_ms, ?) WHERE id = ? AND device = ? AND "
        "ended_at_ms IS NULL",
        expires_at, lease, device);
    if (renewed == 0) ended.push_back(lease);
  }
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return ended;
}

void SqliteStore::RecordAttempt(const LeaseRow& lease, const JudgedReport& report,
                                const JudgedAttempt& attempt, Settled& settled) {
  const AttemptResult& result = attempt.result;
  if (!std::ranges::binary_search(lease.lease.request_indices, result.request_index)) return;
  std::optional<ErrorCode> error_code;
  std::string error_message;
  if (result.error) {
    error_code = result.error->code;
    error_message = result.error->message;
  }
  const auto inserted = db_->Run(
      "INSERT INTO attempt (lease_seq, idx, attempt_id, received_at_ms, verdict, error_code, "
      "error_message, finish_reason, text, token_ids, state_digests, prompt_token_count, "
      "embeddings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (lease_seq, idx) DO "
      "NOTHING",
      lease.seq, result.request_index, result.attempt, report.received_at, attempt.verdict,
      error_code, error_message, result.finish_reason, result.text, PackTokens(result.token_ids),
      PackDigests(result.state_digests), result.prompt_token_count, PackVectors(result.embeddings));
  if (inserted == 0) return;

  RequestState state = RequestState::kPending;
  std::optional<std::int64_t> holder;
  std::uint32_t retry_count = 0;
  {
    Rows rows = db_->Query(
        "SELECT state, lease_seq, retry_count FROM request WHERE job_seq = ? AND idx = ?",
        lease.job_seq, result.request_index);
    if (!rows.Next()) return;
    state = rows.Take<RequestState>();
    holder = rows.Take<std::optional<std::int64_t>>();
    retry_count = rows.Take<std::uint32_t>();
  }
  if (state == RequestState::kDone || state == RequestState::kFailed) return;
  if (attempt.verdict == Verdict::kRetry) {
    if (holder != lease.seq) return;  // somebody else has it already
    ++retry_count;
    if (retry_count < report.max_retry_count) {
      db_->Run(
          "UPDATE request SET state = 1, lease_seq = NULL, retry_count = ?, retried_lease_seq = ? "
          "WHERE job_seq = ? AND idx = ?",
          retry_count, lease.seq, lease.job_seq, result.request_index);
      ++settled.returned;
      return;
    }
  }
  const bool failed = result.error.has_value();
  db_->Run(
      "UPDATE request SET state = ?, lease_seq = NULL, retry_count = ?, canonical_lease_seq = ? "
      "WHERE job_seq = ? AND idx = ?",
      failed ? RequestState::kFailed : RequestState::kDone, retry_count, lease.seq, lease.job_seq,
      result.request_index);
  ++(state == RequestState::kLeased ? settled.from_leased : settled.from_pending);
  if (holder && *holder != lease.seq) settled.lease_seqs.push_back(*holder);
  if (failed) {
    ++settled.failed;
    return;
  }
  ++settled.completed;
  settled.prompt_tokens += result.prompt_token_count;
  settled.completion_tokens += result.token_ids.size();
}

Result<RecordedReport> SqliteStore::RecordResults(const JudgedReport& report) {
  Transaction transaction(*db_, Durability::kAtCommit);
  const auto lease = ReadLease(report.lease);
  if (!lease)
    return db_->Refuse(ErrorCode::kNotFound, fmt::format("no lease {}", report.lease.value));
  if (lease->lease.device != report.device) {
    return db_->Refuse(ErrorCode::kPermissionDenied,
                       fmt::format("lease {} is another device's", report.lease.value));
  }
  const auto job = ReadJob(lease->lease.job);
  if (!job || job->job.state != JobState::kInProgress) return db_->Take(RecordedReport{});

  Settled settled;
  for (const JudgedAttempt& attempt : report.attempts)
    RecordAttempt(*lease, report, attempt, settled);

  const std::uint64_t done = settled.completed + settled.failed;
  const bool job_settled = done > 0 && job->job.counts.completed + job->job.counts.failed + done ==
                                           job->job.counts.total;
  db_->Run(
      "UPDATE job SET completed_count = completed_count + ?, failed_count = failed_count + ?, "
      "prompt_tokens = prompt_tokens + ?, completion_tokens = completion_tokens + ?, "
      "pending_count = pending_count + ?, leased_count = leased_count - ? WHERE seq = ?",
      settled.completed, settled.failed, settled.prompt_tokens, settled.completion_tokens,
      static_cast<std::int64_t>(settled.returned) - static_cast<std::int64_t>(settled.from_pending),
      settled.from_leased + settled.returned, job->seq);
  db_->Run(
      "UPDATE device SET completed_request_count = completed_request_count + ?, "
      "generated_token_count = generated_token_count + ? WHERE id = ?",
      settled.completed, settled.completion_tokens, report.device);
  if (lease->live) {
    db_->Run("UPDATE lease SET expires_at_ms = MAX(expires_at_ms, ?) WHERE seq = ?",
             report.renewed_until, lease->seq);
  }
  settled.lease_seqs.push_back(lease->seq);
  for (const std::int64_t seq : settled.lease_seqs) {
    db_->Run(
        "UPDATE lease SET ended_at_ms = ?1 WHERE seq = ?2 AND ended_at_ms IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM request WHERE lease_seq = ?2)",
        report.received_at, seq);
  }
  if (job_settled) {
    db_->Run("UPDATE job SET state = 4, finalizing_at_ms = ? WHERE seq = ?", report.received_at,
             job->seq);
  }
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return RecordedReport{lease->live, job_settled, static_cast<std::size_t>(done),
                        static_cast<std::size_t>(settled.returned)};
}

Result<std::optional<EndedLease>> SqliteStore::EndLease(const DeviceId& device,
                                                        const LeaseId& lease, WallTime now) {
  Transaction transaction(*db_, Durability::kSoon);
  const auto row = ReadLease(lease);
  if (!row || !row->live || row->lease.device != device)
    return db_->Take(std::optional<EndedLease>());
  auto ended = EndLeaseRow(*row, now);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return ended;
}

Result<std::vector<EndedLease>> SqliteStore::ExpireLeases(WallTime now) {
  Transaction transaction(*db_, Durability::kSoon);
  auto ended = EndLeases(LiveLeasesOf("lease.expires_at_ms <= ?", UnixMs(now)), now);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return ended;
}

}  // namespace fallow::sqlite
