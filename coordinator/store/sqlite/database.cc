#include "coordinator/store/sqlite/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fallow::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 2000;
// The log is folded into the database file at about this size: small enough to be quick.
constexpr int kCheckpointPages = 1000;

ErrorCode CodeOf(int result_code) {
  switch (result_code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
      return ErrorCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_IOERR:
      return ErrorCode::kDataLoss;
    case SQLITE_CONSTRAINT:
      return ErrorCode::kAlreadyExists;
    default:
      return ErrorCode::kInternal;
  }
}

std::string_view HintOf(int result_code) {
  switch (result_code & 0xff) {
    case SQLITE_FULL:
      return ": the disk is full; free some space";
    case SQLITE_READONLY:
      return ": the store is read-only; check the folder's permissions";
    case SQLITE_BUSY:
      return ": another coordinator uses this store";
    default:
      return "";
  }
}

}  // namespace

Rows::Rows(Database& database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

Rows::~Rows() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::Next() {
  if (statement_ == nullptr || !database_.ok()) return false;
  column_ = 0;
  const int result_code = sqlite3_step(statement_);
  if (result_code == SQLITE_ROW) return true;
  if (result_code != SQLITE_DONE) database_.Note(result_code);
  return false;
}

std::string Rows::Read(std::string*) {
  const int column = column_++;
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Bytes Rows::Read(Bytes*) {
  const int column = column_++;
  const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, bytes + sqlite3_column_bytes(statement_, column)};
}

Digest Rows::Read(Digest*) {
  const Bytes bytes = Take<Bytes>();
  Digest digest;
  if (bytes.size() == digest.bytes.size()) std::ranges::copy(bytes, digest.bytes.begin());
  return digest;
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, std::uint64_t max_bytes) {
  std::unique_ptr<Database> database(new Database(path));
  database->Note(sqlite3_open_v2(path.c_str(), &database->handle_,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 nullptr));
  FALLOW_RETURN_IF_ERROR(database->TakeStatus());
  sqlite3_extended_result_codes(database->handle_, 1);
  sqlite3_busy_timeout(database->handle_, kBusyTimeoutMs);
  // Exclusive: a second coordinator on the same file is refused instead of sharing half of the
  // state.
  database->Execute("PRAGMA locking_mode = EXCLUSIVE");
  database->Execute("PRAGMA journal_mode = WAL");
  database->Execute("PRAGMA synchronous = NORMAL");
  database->Execute("PRAGMA foreign_keys = ON");
  database->Execute(fmt::format("PRAGMA wal_autocheckpoint = {}", kCheckpointPages).c_str());
  if (max_bytes > 0) {
    std::int64_t page_bytes = 4096;
    {
      Rows rows = database->Query("PRAGMA page_size");
      if (rows.Next()) page_bytes = rows.Take<std::int64_t>();
    }
    const auto pages =
        std::max<std::uint64_t>(1, max_bytes / static_cast<std::uint64_t>(page_bytes));
    database->Execute(fmt::format("PRAGMA max_page_count = {}", pages).c_str());
  }
  FALLOW_RETURN_IF_ERROR(database->TakeStatus());
  return database;
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

void Database::Execute(const char* script) {
  if (!ok()) return;
  Note(sqlite3_exec(handle_, script, nullptr, nullptr, nullptr));
}

sqlite3_stmt* Database::Prepare(std::string_view sql) {
  if (!ok()) return nullptr;
  const std::string key(sql);
  if (const auto found = statements_.find(key); found != statements_.end()) return found->second;
  sqlite3_stmt* statement = nullptr;
  Note(sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                          SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
  if (!ok()) return nullptr;
  statements_.emplace(key, statement);
  return statement;
}

void Database::Note(int result_code) {
  if (result_code == SQLITE_OK || error_) return;
  const char* text = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(result_code);
  error_ =
      Error{CodeOf(result_code), fmt::format("store {}: {}{}", path_, text, HintOf(result_code))};
}

Status Database::TakeStatus() {
  if (!error_) return {};
  Error error = *std::move(error_);
  error_.reset();
  return std::unexpected(std::move(error));
}

std::unexpected<Error> Database::Refuse(ErrorCode code, std::string message) {
  if (auto status = TakeStatus(); !status) return std::unexpected(std::move(status).error());
  return Fail(code, std::move(message));
}

void Database::Bind(sqlite3_stmt* statement, int index, std::string_view text) {
  // A null pointer would bind NULL; an empty text is not none.
  const char* data = text.data() != nullptr ? text.data() : "";
  Note(sqlite3_bind_text64(statement, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
void Database::Bind(sqlite3_stmt* statement, int index, ByteView bytes) {
  const void* data = bytes.data() != nullptr ? static_cast<const void*>(bytes.data()) : "";
  Note(sqlite3_bind_blob64(statement, index, data, bytes.size(), SQLITE_TRANSIENT));
}
void Database::Bind(sqlite3_stmt* statement, int index, double value) {
  Note(sqlite3_bind_double(statement, index, value));
}
void Database::Bind(sqlite3_stmt* statement, int index, std::nullopt_t) {
  Note(sqlite3_bind_null(statement, index));
}
void Database::BindInteger(sqlite3_stmt* statement, int index, std::int64_t value) {
  Note(sqlite3_bind_int64(statement, index, value));
}

Transaction::Transaction(Database& database, Durability durability) : database_(database) {
  const bool sync = durability == Durability::kAtCommit;
  if (sync != database_.syncs_each_commit_) {
    database_.Execute(sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    if (database_.ok()) database_.syncs_each_commit_ = sync;
  }
  database_.Run("BEGIN IMMEDIATE");
  open_ = database_.ok();
}

Transaction::~Transaction() {
  if (!open_) return;
  // SQLite itself has rolled back after some errors; then this one is not of interest.
  if (sqlite3_get_autocommit(database_.handle_) == 0)
    sqlite3_exec(database_.handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Status Transaction::Commit() {
  if (database_.ok()) database_.Run("COMMIT");
  if (database_.ok()) open_ = false;
  return database_.TakeStatus();
}

}  // namespace fallow::sqlite
