#include "coordinator/store/migrations/sqlite_migrations.h"

namespace fallow {
namespace {

// Times are Unix milliseconds. `seq` orders a table's rows by age. States are the enums of
// coordinator/core/records.h.
constexpr const char* kInitial = R"sql(
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE api_key (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account TEXT NOT NULL,
  role INTEGER NOT NULL,
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  secret_hash BLOB NOT NULL UNIQUE,
  created_at_ms INTEGER NOT NULL,
  revoked_at_ms INTEGER
);

CREATE TABLE file (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account TEXT NOT NULL,
  purpose INTEGER NOT NULL,
  filename TEXT NOT NULL,
  artifact BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER
);
CREATE INDEX file_account ON file (account, seq);
CREATE INDEX file_artifact ON file (artifact);
CREATE INDEX file_expiry ON file (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

CREATE TABLE model (
  id TEXT PRIMARY KEY,
  artifact BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  card_json TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
);

CREATE TABLE device (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  public_key BLOB NOT NULL UNIQUE,
  hostname TEXT NOT NULL,
  operating_system TEXT NOT NULL,
  agent_version TEXT NOT NULL,
  backend INTEGER NOT NULL,
  processor TEXT NOT NULL,
  driver TEXT NOT NULL,
  memory_bytes INTEGER NOT NULL,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL,
  tokens_per_second REAL NOT NULL,
  enrolled_at_ms INTEGER NOT NULL,
  last_seen_at_ms INTEGER NOT NULL,
  completed_request_count INTEGER NOT NULL,
  generated_token_count INTEGER NOT NULL
);

CREATE TABLE job (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  completion_window TEXT NOT NULL,
  input_file TEXT NOT NULL,
  input_artifact BLOB NOT NULL,
  model TEXT NOT NULL,
  model_artifact BLOB NOT NULL,
  state INTEGER NOT NULL,
  total_count INTEGER NOT NULL,
  completed_count INTEGER NOT NULL,
  failed_count INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  errors_json TEXT NOT NULL,
  metadata_json TEXT NOT NULL,
  output_file TEXT,
  error_file TEXT,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  in_progress_at_ms INTEGER,
  finalizing_at_ms INTEGER,
  completed_at_ms INTEGER,
  failed_at_ms INTEGER,
  expired_at_ms INTEGER,
  cancelling_at_ms INTEGER,
  cancelled_at_ms INTEGER,
  pending_count INTEGER NOT NULL,
  leased_count INTEGER NOT NULL,
  fingerprint BLOB NOT NULL
);
CREATE INDEX job_account ON job (account, seq);
CREATE INDEX job_fingerprint ON job (fingerprint);
CREATE INDEX job_input_file ON job (input_file);
CREATE INDEX job_open ON job (seq) WHERE state IN (1, 3, 4, 7);

CREATE TABLE lease (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  device TEXT NOT NULL,
  job_seq INTEGER NOT NULL REFERENCES job (seq),
  request_indices TEXT NOT NULL,
  granted_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER
);
CREATE INDEX lease_live ON lease (expires_at_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX lease_device ON lease (device) WHERE ended_at_ms IS NULL;
CREATE INDEX lease_job ON lease (job_seq) WHERE ended_at_ms IS NULL;

CREATE TABLE request (
  job_seq INTEGER NOT NULL REFERENCES job (seq),
  idx INTEGER NOT NULL,
  custom_id TEXT NOT NULL,
  line_offset INTEGER NOT NULL,
  line_length INTEGER NOT NULL,
  assigned_seed INTEGER NOT NULL,
  max_tokens INTEGER NOT NULL,
  state INTEGER NOT NULL,
  retry_count INTEGER NOT NULL,
  lease_seq INTEGER,
  canonical_lease_seq INTEGER,
  PRIMARY KEY (job_seq, idx)
) WITHOUT ROWID;
CREATE INDEX request_pending ON request (job_seq, idx) WHERE state = 1;
CREATE INDEX request_lease ON request (lease_seq) WHERE lease_seq IS NOT NULL;

CREATE TABLE attempt (
  lease_seq INTEGER NOT NULL REFERENCES lease (seq),
  idx INTEGER NOT NULL,
  attempt_id TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL,
  verdict INTEGER NOT NULL,
  error_code INTEGER,
  error_message TEXT,
  finish_reason INTEGER NOT NULL,
  text TEXT NOT NULL,
  token_ids BLOB NOT NULL,
  state_digests BLOB NOT NULL,
  prompt_token_count INTEGER NOT NULL,
  PRIMARY KEY (lease_seq, idx)
);
)sql";

// Vectors are kept as they are hashed: little-endian fp32, one after the other; a request's
// input_count says how many.
constexpr const char* kEmbeddings = R"sql(
ALTER TABLE request ADD COLUMN input_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN vector_encoding INTEGER NOT NULL DEFAULT 1;
ALTER TABLE attempt ADD COLUMN embeddings BLOB NOT NULL DEFAULT x'';
ALTER TABLE device ADD COLUMN embedding_tokens_per_second REAL NOT NULL DEFAULT 0;
)sql";

// Whose attempt was the latest that was to be retried.
constexpr const char* kRetries = R"sql(
ALTER TABLE request ADD COLUMN retried_lease_seq INTEGER;
)sql";

// How long a device's owner waits for it; count 0: not measured yet.
constexpr const char* kYields = R"sql(
ALTER TABLE device ADD COLUMN yield_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN yield_p50_ms REAL NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN yield_p99_ms REAL NOT NULL DEFAULT 0;
)sql";

constexpr const char* kSteps[] = {kInitial, kEmbeddings, kRetries, kYields};

}  // namespace

std::span<const char* const> SqliteMigrations() {
  return kSteps;
}

}  // namespace fallow
