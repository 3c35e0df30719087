// Artifacts in a directory: `ROOT/ab/abcd…` by digest, `ROOT/incoming/` for those on their way in.
//
// Invariant: a file under a digest's name is whole and durable; what a crash left half written is
// in `incoming` and goes at the next start. One process at a time uses a directory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "coordinator/artifacts/artifact_store.h"

namespace fallow {

struct DirectoryStoreOptions {
  std::uint64_t max_artifact_bytes = 16ull << 30;  // a large quantised model file
};

Result<std::unique_ptr<ArtifactStore>> OpenDirectoryStore(const std::string& root,
                                                          const DirectoryStoreOptions& options);

}  // namespace fallow
