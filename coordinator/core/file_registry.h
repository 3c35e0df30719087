// The submitters' files: uploads, lists, deletion and expiry. Their bytes are artifacts; equal
// bytes are kept once.
#pragma once

#include <chrono>
#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/store/store.h"

namespace fallow {

class FileRegistry : public FileService {
 public:
  FileRegistry(Store& store, ArtifactStore& artifacts, const Clock& clock, Random& random,
               std::chrono::milliseconds file_lifetime)
      : store_(store),
        artifacts_(artifacts),
        clock_(clock),
        random_(random),
        file_lifetime_(file_lifetime) {}

  Result<std::unique_ptr<FileUpload>> StartUpload() override;
  Result<File> Get(const AccountId& account, const FileId& id) override;
  Result<File> GetAny(const FileId& id) override;
  Result<Page<File>> List(const AccountId& account, const PageRequest& page,
                          std::optional<FilePurpose> purpose) override;
  Status Delete(const AccountId& account, const FileId& id) override;

  // Removes some of the files that are past their time.
  Status RemoveExpired();

 private:
  class Upload;
  Status Remove(const FileId& id);
  void RemoveIfUnused(const Digest& artifact);

  Store& store_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
  Random& random_;
  std::chrono::milliseconds file_lifetime_;
};

// Cuts a list that was asked for one item more than the page's limit.
template <class T>
Page<T> CutPage(std::vector<T> items, std::size_t limit) {
  const bool has_more = items.size() > limit;
  if (has_more) items.erase(items.begin() + static_cast<std::ptrdiff_t>(limit), items.end());
  return {std::move(items), has_more};
}

}  // namespace fallow
