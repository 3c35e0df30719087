// A Store in one SQLite file (write-ahead log), for a coordinator of one process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "coordinator/store/store.h"

namespace fallow {

struct SqliteStoreOptions {
  std::uint64_t max_bytes = 0;  // of the database file; 0: what the disk holds
};

// Makes or opens the file at `path` and brings its schema up to date. Errors: kUnavailable if
// another coordinator has it open; kFailedPrecondition if a newer coordinator made it; kDataLoss if
// it is not a store.
Result<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                               const SqliteStoreOptions& options);

}  // namespace fallow
