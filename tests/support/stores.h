// The stores a test runs on, each in a scratch directory of its own.
#pragma once

#include <memory>
#include <string>

#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/store/store.h"

namespace fallow {

// A new directory, removed with all it holds when destroyed.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

enum class StoreKind { kMemory, kSqlite };
std::string StoreKindName(StoreKind kind);

// End the test program if they cannot be opened.
std::unique_ptr<Store> OpenStore(StoreKind kind, const ScratchDirectory& scratch);
std::unique_ptr<ArtifactStore> OpenArtifacts(StoreKind kind, const ScratchDirectory& scratch);

}  // namespace fallow
