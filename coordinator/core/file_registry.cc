#include "coordinator/core/file_registry.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/utf8.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxPageFiles = 10'000;

}  // namespace

class FileRegistry::Upload : public FileUpload {
 public:
  Upload(FileRegistry& registry, std::unique_ptr<ArtifactWriter> writer)
      : registry_(registry), writer_(std::move(writer)) {}

  Status Write(ByteView bytes) override {
    if (bytes.size() > kMaxBatchFileBytes - writer_->size_bytes()) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("a file may have at most {} bytes", kMaxBatchFileBytes));
    }
    return writer_->Write(bytes);
  }

  Result<File> Finish(const AccountId& account, FilePurpose purpose,
                      std::string filename) override {
    if (!IsUtf8(filename) || filename.size() > kMaxFilenameBytes) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("filename must be UTF-8 of at most {} bytes", kMaxFilenameBytes));
    }
    FALLOW_ASSIGN_OR_RETURN(const ArtifactInfo info, writer_->Finish());
    File file;
    file.id = FileId("file-" + registry_.random_.Hex(12));
    file.account = account;
    file.purpose = purpose;
    file.filename = std::move(filename);
    file.artifact = info.digest;
    file.size_bytes = info.size_bytes;
    file.created_at = registry_.clock_.Wall();
    file.expires_at = file.created_at + registry_.file_lifetime_;
    if (auto added = registry_.store_.AddFile(file); !added) {
      registry_.RemoveIfUnused(info.digest);
      return std::unexpected(std::move(added).error());
    }
    return file;
  }

 private:
  FileRegistry& registry_;
  std::unique_ptr<ArtifactWriter> writer_;
};

Result<std::unique_ptr<FileUpload>> FileRegistry::StartUpload() {
  FALLOW_ASSIGN_OR_RETURN(auto writer, artifacts_.Create());
  return std::make_unique<Upload>(*this, std::move(writer));
}

Result<File> FileRegistry::Get(const AccountId& account, const FileId& id) {
  FALLOW_ASSIGN_OR_RETURN(auto file, store_.FindFile(id));
  // Another account's file is none: its existence is nobody's business.
  if (!file || file->account != account)
    return Fail(ErrorCode::kNotFound, fmt::format("no file {}", id.value));
  return *std::move(file);
}

Result<File> FileRegistry::GetAny(const FileId& id) {
  FALLOW_ASSIGN_OR_RETURN(auto file, store_.FindFile(id));
  if (!file) return Fail(ErrorCode::kNotFound, fmt::format("no file {}", id.value));
  return *std::move(file);
}

Result<Page<File>> FileRegistry::List(const AccountId& account, const PageRequest& page,
                                      std::optional<FilePurpose> purpose) {
  if (page.limit < 1 || page.limit > kMaxPageFiles) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("limit must be from 1 to {}", kMaxPageFiles));
  }
  if (page.after) FALLOW_RETURN_IF_ERROR(Get(account, FileId(*page.after)));
  FALLOW_ASSIGN_OR_RETURN(auto files, store_.Files({account, page.after, page.limit + 1}, purpose));
  return CutPage(std::move(files), page.limit);
}

Status FileRegistry::Delete(const AccountId& account, const FileId& id) {
  FALLOW_RETURN_IF_ERROR(Get(account, id));
  return Remove(id);
}

Status FileRegistry::Remove(const FileId& id) {
  FALLOW_ASSIGN_OR_RETURN(const RemovedArtifact removed, store_.RemoveFile(id));
  if (!removed.unused) return {};
  // The record is gone; bytes that stay behind are harmless.
  if (auto gone = artifacts_.Remove(removed.artifact); !gone)
    LOG_WARN("files: {}", gone.error().message);
  return {};
}

// A full disk that has no room for a record must not keep its bytes.
void FileRegistry::RemoveIfUnused(const Digest& artifact) {
  const auto used = store_.ArtifactUsed(artifact);
  if (!used || *used) return;
  if (auto gone = artifacts_.Remove(artifact); !gone) LOG_WARN("files: {}", gone.error().message);
}

Status FileRegistry::RemoveExpired() {
  FALLOW_ASSIGN_OR_RETURN(const auto expired,
                          store_.ExpiredFiles(clock_.Wall(), kFilesExpiredPerTick));
  for (const FileId& id : expired) {
    LOG_INFO("files: expired file={}", id.value);
    FALLOW_RETURN_IF_ERROR(Remove(id));
  }
  return {};
}

}  // namespace fallow
