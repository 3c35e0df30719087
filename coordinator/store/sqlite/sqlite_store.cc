#include "coordinator/store/sqlite/sqlite_store.h"

#include <fmt/format.h>

#include "coordinator/store/migrations/sqlite_migrations.h"
#include "coordinator/store/sqlite/sqlite_store_internal.h"

namespace fallow {
namespace sqlite {
namespace {

Status Migrate(Database& db) {
  const auto steps = SqliteMigrations();
  std::size_t version = 0;
  {
    Rows rows = db.Query("PRAGMA user_version");
    if (rows.Next()) version = rows.Take<std::size_t>();
  }
  FALLOW_RETURN_IF_ERROR(db.TakeStatus());
  if (version > steps.size()) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the store has schema version {}, this coordinator knows {}: start a "
                            "newer coordinator",
                            version, steps.size()));
  }
  for (; version < steps.size(); ++version) {
    Transaction transaction(db, Durability::kAtCommit);
    db.Execute(steps[version]);
    db.Execute(fmt::format("PRAGMA user_version = {}", version + 1).c_str());
    FALLOW_RETURN_IF_ERROR(transaction.Commit());
  }
  return {};
}

constexpr std::string_view kKeyColumns =
    "id, account, role, name, prefix, secret_hash, created_at_ms, revoked_at_ms";

ApiKey TakeKey(Rows& rows) {
  ApiKey key;
  key.id = rows.Take<KeyId>();
  key.account = rows.Take<AccountId>();
  key.role = rows.Take<Role>();
  key.name = rows.Take<std::string>();
  key.prefix = rows.Take<std::string>();
  key.secret_hash = rows.Take<Digest>();
  key.created_at = rows.Take<WallTime>();
  key.revoked_at = rows.Take<std::optional<WallTime>>();
  return key;
}

constexpr std::string_view kFileColumns =
    "id, account, purpose, filename, artifact, size_bytes, created_at_ms, expires_at_ms";

File TakeFile(Rows& rows) {
  File file;
  file.id = rows.Take<FileId>();
  file.account = rows.Take<AccountId>();
  file.purpose = rows.Take<FilePurpose>();
  file.filename = rows.Take<std::string>();
  file.artifact = rows.Take<Digest>();
  file.size_bytes = rows.Take<std::uint64_t>();
  file.created_at = rows.Take<WallTime>();
  file.expires_at = rows.Take<std::optional<WallTime>>();
  return file;
}

Model TakeModel(Rows& rows) {
  Model model;
  model.id = rows.Take<ModelId>();
  model.artifact = rows.Take<Digest>();
  model.size_bytes = rows.Take<std::uint64_t>();
  model.card_json = rows.Take<std::string>();
  model.created_at = rows.Take<WallTime>();
  return model;
}

}  // namespace

// --- Settings ---------------------------------------------------------------------------------

Result<std::optional<std::string>> SqliteStore::Setting(std::string_view name) {
  std::optional<std::string> value;
  {
    Rows rows = db_->Query("SELECT value FROM setting WHERE name = ?", name);
    if (rows.Next()) value = rows.Take<std::string>();
  }
  return db_->Take(std::move(value));
}

Status SqliteStore::PutSetting(std::string_view name, std::string_view value) {
  Transaction transaction(*db_, Durability::kAtCommit);
  db_->Run(
      "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = "
      "?2",
      name, value);
  return transaction.Commit();
}

// --- API keys ---------------------------------------------------------------------------------

Status SqliteStore::AddKey(const ApiKey& key) {
  Transaction transaction(*db_, Durability::kAtCommit);
  db_->Run(
      "INSERT INTO api_key (id, account, role, name, prefix, secret_hash, created_at_ms, "
      "revoked_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      key.id, key.account, key.role, key.name, key.prefix, key.secret_hash, key.created_at,
      key.revoked_at);
  return transaction.Commit();
}

Result<std::optional<ApiKey>> SqliteStore::FindKey(const Digest& secret_hash) {
  static const std::string sql =
      fmt::format("SELECT {} FROM api_key WHERE secret_hash = ?", kKeyColumns);
  std::optional<ApiKey> key;
  {
    Rows rows = db_->Query(sql, secret_hash);
    if (rows.Next()) key = TakeKey(rows);
  }
  return db_->Take(std::move(key));
}

Result<std::vector<ApiKey>> SqliteStore::Keys() {
  static const std::string sql = fmt::format("SELECT {} FROM api_key ORDER BY seq", kKeyColumns);
  std::vector<ApiKey> keys;
  {
    Rows rows = db_->Query(sql);
    while (rows.Next()) keys.push_back(TakeKey(rows));
  }
  return db_->Take(std::move(keys));
}

Status SqliteStore::RevokeKey(const KeyId& id, WallTime when) {
  Transaction transaction(*db_, Durability::kAtCommit);
  const auto changed = db_->Run(
      "UPDATE api_key SET revoked_at_ms = COALESCE(revoked_at_ms, ?) WHERE id = ?", when, id);
  if (changed == 0)
    return db_->Refuse(ErrorCode::kNotFound, fmt::format("no API key {}", id.value));
  return transaction.Commit();
}

// --- Files ------------------------------------------------------------------------------------

void SqliteStore::InsertFile(const File& file) {
  db_->Run(
      "INSERT INTO file (id, account, purpose, filename, artifact, size_bytes, created_at_ms, "
      "expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      file.id, file.account, file.purpose, file.filename, file.artifact, file.size_bytes,
      file.created_at, file.expires_at);
}

Status SqliteStore::AddFile(const File& file) {
  Transaction transaction(*db_, Durability::kAtCommit);
  InsertFile(file);
  return transaction.Commit();
}

Result<std::optional<File>> SqliteStore::FindFile(const FileId& id) {
  static const std::string sql = fmt::format("SELECT {} FROM file WHERE id = ?", kFileColumns);
  std::optional<File> file;
  {
    Rows rows = db_->Query(sql, id);
    if (rows.Next()) file = TakeFile(rows);
  }
  return db_->Take(std::move(file));
}

std::optional<std::int64_t> SqliteStore::SeqOf(std::string_view table_query, std::string_view id) {
  Rows rows = db_->Query(table_query, id);
  if (!rows.Next()) return std::nullopt;
  return rows.Take<std::int64_t>();
}

Result<std::vector<File>> SqliteStore::Files(const ListQuery& query,
                                             std::optional<FilePurpose> purpose) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM file WHERE (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR purpose = ?2) "
      "AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
      kFileColumns);
  std::optional<std::int64_t> before = INT64_MAX;
  if (query.after) before = SeqOf("SELECT seq FROM file WHERE id = ?", *query.after);
  if (!before)
    return db_->Refuse(ErrorCode::kInvalidArgument, fmt::format("after: no file {}", *query.after));
  std::vector<File> files;
  {
    Rows rows = db_->Query(sql, query.account, purpose, before, query.limit);
    while (rows.Next()) files.push_back(TakeFile(rows));
  }
  return db_->Take(std::move(files));
}

bool SqliteStore::IsArtifactUsed(const Digest& artifact) {
  Rows rows = db_->Query(
      "SELECT EXISTS (SELECT 1 FROM file WHERE artifact = ?1) OR "
      "EXISTS (SELECT 1 FROM model WHERE artifact = ?1)",
      artifact);
  return !rows.Next() || rows.Take<bool>();
}

Result<bool> SqliteStore::ArtifactUsed(const Digest& artifact) {
  return db_->Take(IsArtifactUsed(artifact));
}

Result<RemovedArtifact> SqliteStore::RemoveFile(const FileId& id) {
  Transaction transaction(*db_, Durability::kAtCommit);
  RemovedArtifact removed;
  {
    Rows rows = db_->Query("SELECT artifact FROM file WHERE id = ?", id);
    if (!rows.Next()) return db_->Refuse(ErrorCode::kNotFound, fmt::format("no file {}", id.value));
    removed.artifact = rows.Take<Digest>();
  }
  {
    Rows rows = db_->Query("SELECT id FROM job WHERE input_file = ? AND state IN (1, 3, 4, 7)", id);
    if (rows.Next()) {
      return db_->Refuse(ErrorCode::kFailedPrecondition,
                         fmt::format("file {} is read by batch {}, which is not finished: cancel "
                                     "the batch first",
                                     id.value, rows.Take<std::string>()));
    }
  }
  db_->Run("DELETE FROM file WHERE id = ?", id);
  removed.unused = !IsArtifactUsed(removed.artifact);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return removed;
}

Result<std::vector<FileId>> SqliteStore::ExpiredFiles(WallTime now, std::size_t limit) {
  std::vector<FileId> ids;
  {
    Rows rows = db_->Query(
        "SELECT id FROM file WHERE expires_at_ms <= ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE "
        "job.input_file = file.id AND job.state IN (1, 3, 4, 7)) ORDER BY expires_at_ms LIMIT ?2",
        now, limit);
    while (rows.Next()) ids.push_back(rows.Take<FileId>());
  }
  return db_->Take(std::move(ids));
}

// --- Models -----------------------------------------------------------------------------------

Status SqliteStore::AddModel(const Model& model) {
  Transaction transaction(*db_, Durability::kAtCommit);
  {
    Rows rows = db_->Query("SELECT artifact FROM model WHERE id = ?", model.id);
    if (rows.Next()) {
      if (rows.Take<Digest>() == model.artifact) return db_->TakeStatus();
      return db_->Refuse(ErrorCode::kAlreadyExists,
                         fmt::format("model {} is already another file: remove it first, or choose "
                                     "another name",
                                     model.id.value));
    }
  }
  db_->Run(
      "INSERT INTO model (id, artifact, size_bytes, card_json, created_at_ms) "
      "VALUES (?, ?, ?, ?, ?)",
      model.id, model.artifact, model.size_bytes, model.card_json, model.created_at);
  return transaction.Commit();
}

Result<std::optional<Model>> SqliteStore::FindModel(const ModelId& id) {
  std::optional<Model> model;
  {
    Rows rows = db_->Query(
        "SELECT id, artifact, size_bytes, card_json, created_at_ms FROM model WHERE id = ?", id);
    if (rows.Next()) model = TakeModel(rows);
  }
  return db_->Take(std::move(model));
}

Result<std::vector<Model>> SqliteStore::Models() {
  std::vector<Model> models;
  {
    Rows rows = db_->Query(
        "SELECT id, artifact, size_bytes, card_json, created_at_ms FROM model ORDER BY id");
    while (rows.Next()) models.push_back(TakeModel(rows));
  }
  return db_->Take(std::move(models));
}

Result<RemovedArtifact> SqliteStore::RemoveModel(const ModelId& id) {
  Transaction transaction(*db_, Durability::kAtCommit);
  RemovedArtifact removed;
  {
    Rows rows = db_->Query("SELECT artifact FROM model WHERE id = ?", id);
    if (!rows.Next())
      return db_->Refuse(ErrorCode::kNotFound, fmt::format("no model {}", id.value));
    removed.artifact = rows.Take<Digest>();
  }
  {
    Rows rows = db_->Query("SELECT id FROM job WHERE model = ? AND state IN (3, 4, 7)", id);
    if (rows.Next()) {
      return db_->Refuse(ErrorCode::kFailedPrecondition,
                         fmt::format("model {} is used by batch {}, which is not finished: cancel "
                                     "the batch first",
                                     id.value, rows.Take<std::string>()));
    }
  }
  db_->Run("DELETE FROM model WHERE id = ?", id);
  removed.unused = !IsArtifactUsed(removed.artifact);
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return removed;
}

}  // namespace sqlite

Result<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                               const SqliteStoreOptions& options) {
  FALLOW_ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(path, options.max_bytes));
  if (auto migrated = sqlite::Migrate(*database); !migrated)
    return Wrap(std::move(migrated).error(), path);
  return std::make_unique<sqlite::SqliteStore>(std::move(database));
}

}  // namespace fallow
