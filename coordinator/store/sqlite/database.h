// A Database is one SQLite file with prepared statements and a sticky error.
//
// The first error of a call sticks: statements after it do nothing and read nothing, and the
// transaction's Commit (or Take for reads) returns it. So a transaction reads as its steps alone.
// Threading: one thread at a time.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"

namespace fallow::sqlite {

class Database;

// The rows of one query; the statement is free again when they are destroyed.
class Rows {
 public:
  Rows(Database& database, sqlite3_stmt* statement);
  Rows(Rows&&) = delete;
  ~Rows();

  bool Next();  // false at the end and after an error

  // The row's next column, from the left.
  template <class T>
  T Take() {
    return Read(static_cast<T*>(nullptr));
  }

 private:
  template <class T>
  requires(std::integral<T> || std::is_enum_v<T>) T Read(T*) {
    return static_cast<T>(sqlite3_column_int64(statement_, column_++));
  }
  double Read(double*) { return sqlite3_column_double(statement_, column_++); }
  std::string Read(std::string*);
  Bytes Read(Bytes*);
  Digest Read(Digest*);
  WallTime Read(WallTime*) { return WallTimeFromUnixMs(Take<std::int64_t>()); }
  template <class Tag>
  Id<Tag> Read(Id<Tag>*) {
    return Id<Tag>(Take<std::string>());
  }
  template <class T>
  std::optional<T> Read(std::optional<T>*) {
    if (sqlite3_column_type(statement_, column_) == SQLITE_NULL) {
      ++column_;
      return std::nullopt;
    }
    return Take<T>();
  }

  Database& database_;
  sqlite3_stmt* statement_;  // null after an error
  int column_ = 0;
};

class Database {
 public:
  // `max_bytes` 0: no limit of ours.
  static Result<std::unique_ptr<Database>> Open(const std::string& path, std::uint64_t max_bytes);
  ~Database();

  template <class... Args>
  Rows Query(std::string_view sql, const Args&... args) {
    sqlite3_stmt* statement = Prepare(sql);
    int index = 0;
    if (statement != nullptr) (Bind(statement, ++index, args), ...);
    return Rows(*this, statement);
  }
  // Returns how many rows changed.
  template <class... Args>
  std::int64_t Run(std::string_view sql, const Args&... args) {
    Rows rows = Query(sql, args...);
    rows.Next();
    return error_ ? 0 : sqlite3_changes64(handle_);
  }
  void Execute(const char* script);  // several statements, no arguments
  std::int64_t LastInsertedSeq() const { return sqlite3_last_insert_rowid(handle_); }

  bool ok() const { return !error_; }
  // The sticky error if there is one, else `value`; either way the error is gone.
  template <class T>
  Result<T> Take(T value) {
    if (auto status = TakeStatus(); !status) return std::unexpected(std::move(status).error());
    return value;
  }
  Status TakeStatus();
  // For a condition that failed: the sticky error if there is one, else this.
  std::unexpected<Error> Refuse(ErrorCode code, std::string message);

 private:
  friend class Rows;
  friend class Transaction;

  explicit Database(std::string path) : path_(std::move(path)) {}
  sqlite3_stmt* Prepare(std::string_view sql);  // null after an error
  void Note(int result_code);                   // keeps the first error

  void Bind(sqlite3_stmt* statement, int index, std::string_view text);
  void Bind(sqlite3_stmt* statement, int index, ByteView bytes);
  void Bind(sqlite3_stmt* statement, int index, double value);
  void Bind(sqlite3_stmt* statement, int index, std::nullopt_t);
  template <class T>
  requires(std::integral<T> || std::is_enum_v<T>) void Bind(sqlite3_stmt* statement, int index,
                                                            T value) {
    BindInteger(statement, index, static_cast<std::int64_t>(value));
  }
  void BindInteger(sqlite3_stmt* statement, int index, std::int64_t value);
  void Bind(sqlite3_stmt* statement, int index, const std::string& text) {
    Bind(statement, index, std::string_view(text));
  }
  void Bind(sqlite3_stmt* statement, int index, const Bytes& bytes) {
    Bind(statement, index, ByteView(bytes));
  }
  void Bind(sqlite3_stmt* statement, int index, const Digest& digest) {
    Bind(statement, index, ByteView(digest.bytes));
  }
  void Bind(sqlite3_stmt* statement, int index, WallTime time) {
    BindInteger(statement, index, UnixMs(time));
  }
  template <class Tag>
  void Bind(sqlite3_stmt* statement, int index, const Id<Tag>& id) {
    Bind(statement, index, std::string_view(id.value));
  }
  template <class T>
  void Bind(sqlite3_stmt* statement, int index, const std::optional<T>& value) {
    if (value) {
      Bind(statement, index, *value);
    } else {
      Bind(statement, index, std::nullopt);
    }
  }

  std::string path_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
  std::optional<Error> error_;
  bool syncs_each_commit_ = false;
};

// When a commit must have reached the disk.
enum class Durability : std::uint8_t { kAtCommit, kSoon };

// Rolls back when destroyed without Commit.
class Transaction {
 public:
  Transaction(Database& database, Durability durability);
  ~Transaction();
  Status Commit();

 private:
  Database& database_;
  bool open_ = false;
};

}  // namespace fallow::sqlite
