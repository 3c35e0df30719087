#include "tests/support/stores.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "base/check.h"
#include "coordinator/artifacts/directory/directory_store.h"
#include "coordinator/artifacts/memory/memory_artifact_store.h"
#include "coordinator/store/memory/memory_store.h"
#include "coordinator/store/sqlite/sqlite_store.h"

namespace fallow {

ScratchDirectory::ScratchDirectory()
    : path_((std::filesystem::temp_directory_path() / "fallow-test-XXXXXX").string()) {
  FALLOW_CHECK(mkdtemp(path_.data()) != nullptr);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string StoreKindName(StoreKind kind) {
  return kind == StoreKind::kMemory ? "Memory" : "Sqlite";
}

std::unique_ptr<Store> OpenStore(StoreKind kind, const ScratchDirectory& scratch) {
  if (kind == StoreKind::kMemory) return NewMemoryStore();
  auto store = OpenSqliteStore(scratch.path() + "/coordinator.db", {});
  FALLOW_CHECK(store.has_value());
  return *std::move(store);
}

std::unique_ptr<ArtifactStore> OpenArtifacts(StoreKind kind, const ScratchDirectory& scratch) {
  if (kind == StoreKind::kMemory) return std::make_unique<MemoryArtifactStore>();
  auto artifacts = OpenDirectoryStore(scratch.path() + "/artifacts", {});
  FALLOW_CHECK(artifacts.has_value());
  return *std::move(artifacts);
}

}  // namespace fallow
