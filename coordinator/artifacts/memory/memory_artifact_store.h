// Artifacts in memory, for tests and simulations. A test can make its disk full.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>

#include "coordinator/artifacts/artifact_store.h"

namespace fallow {

class MemoryArtifactStore : public ArtifactStore {
 public:
  Result<std::unique_ptr<ArtifactWriter>> Create() override;
  Result<std::unique_ptr<ArtifactReader>> Open(const Digest& digest) override;
  Status Remove(const Digest& digest) override;
  Result<std::optional<std::string>> LocalPath(const Digest& digest) override;

  void SetDiskFull(bool full) { disk_full_ = full; }
  std::size_t artifact_count() const { return artifacts_.size(); }

 private:
  class Writer;
  class Reader;

  std::map<Digest, std::shared_ptr<const Bytes>> artifacts_;  // shared with readers of removed ones
  bool disk_full_ = false;
};

}  // namespace fallow
