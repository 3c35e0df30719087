#include "coordinator/store/memory/memory_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "coordinator/store/memory/memory_store_internal.h"

namespace fallow {
namespace memory {

std::unexpected<Error> None(std::string_view kind, std::string_view id) {
  return Fail(ErrorCode::kNotFound, fmt::format("no {} {}", kind, id));
}

// --- Settings ---------------------------------------------------------------------------------

Result<std::optional<std::string>> MemoryStore::Setting(std::string_view name) {
  const auto found = settings_.find(std::string(name));
  if (found == settings_.end()) return std::nullopt;
  return found->second;
}

Status MemoryStore::PutSetting(std::string_view name, std::string_view value) {
  settings_[std::string(name)] = value;
  return {};
}

// --- API keys ---------------------------------------------------------------------------------

Status MemoryStore::AddKey(const ApiKey& key) {
  for (const ApiKey& other : keys_) {
    if (other.id == key.id || other.secret_hash == key.secret_hash)
      return Fail(ErrorCode::kAlreadyExists, "the API key exists");
  }
  keys_.push_back(key);
  return {};
}

Result<std::optional<ApiKey>> MemoryStore::FindKey(const Digest& secret_hash) {
  const auto found = std::ranges::find(keys_, secret_hash, &ApiKey::secret_hash);
  if (found == keys_.end()) return std::nullopt;
  return *found;
}

Result<std::vector<ApiKey>> MemoryStore::Keys() {
  return keys_;
}

Status MemoryStore::RevokeKey(const KeyId& id, WallTime when) {
  const auto found = std::ranges::find(keys_, id, &ApiKey::id);
  if (found == keys_.end()) return None("API key", id.value);
  if (!found->revoked_at) found->revoked_at = when;
  return {};
}

// --- Files ------------------------------------------------------------------------------------

Status MemoryStore::AddFile(const File& file) {
  if (FileOf(file.id) != nullptr)
    return Fail(ErrorCode::kAlreadyExists, fmt::format("file {} exists", file.id.value));
  files_.push_back(file);
  return {};
}

Result<std::optional<File>> MemoryStore::FindFile(const FileId& id) {
  const File* file = FileOf(id);
  if (file == nullptr) return std::nullopt;
  return *file;
}

Result<std::vector<File>> MemoryStore::Files(const ListQuery& query,
                                             std::optional<FilePurpose> purpose) {
  std::vector<File> newest_first(files_.rbegin(), files_.rend());
  std::erase_if(newest_first, [&](const File& file) {
    return (query.account && file.account != *query.account && query.after != file.id.value) ||
           (purpose && file.purpose != *purpose && query.after != file.id.value);
  });
  return Cut(std::move(newest_first), query, "file");
}

Result<RemovedArtifact> MemoryStore::RemoveFile(const FileId& id) {
  const File* file = FileOf(id);
  if (file == nullptr) return None("file", id.value);
  for (const JobRow& row : jobs_) {
    if (row.job.input_file == id && !IsFinal(row.job.state)) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("file {} is read by batch {}, which is not finished: cancel the "
                              "batch first",
                              id.value, row.job.id.value));
    }
  }
  const Digest artifact = file->artifact;
  std::erase_if(files_, [&](const File& other) { return other.id == id; });
  return RemovedArtifact{artifact, !IsArtifactUsed(artifact)};
}

Result<std::vector<FileId>> MemoryStore::ExpiredFiles(WallTime now, std::size_t limit) {
  std::vector<std::pair<WallTime, FileId>> expired;
  for (const File& file : files_) {
    const bool read = std::ranges::any_of(jobs_, [&](const JobRow& row) {
      return row.job.input_file == file.id && !IsFinal(row.job.state);
    });
    if (file.expires_at && *file.expires_at <= now && !read)
      expired.emplace_back(*file.expires_at, file.id);
  }
  std::ranges::stable_sort(expired, {}, &std::pair<WallTime, FileId>::first);
  std::vector<FileId> ids;
  for (const auto& [time, id] : expired)
    if (ids.size() < limit) ids.push_back(id);
  return ids;
}

Result<bool> MemoryStore::ArtifactUsed(const Digest& artifact) {
  return IsArtifactUsed(artifact);
}

// --- Models -----------------------------------------------------------------------------------

Status MemoryStore::AddModel(const Model& model) {
  const auto [it, added] = models_.try_emplace(model.id, model);
  if (!added && it->second.artifact != model.artifact) {
    return Fail(ErrorCode::kAlreadyExists,
                fmt::format("model {} is already another file: remove it first, or choose "
                            "another name",
                            model.id.value));
  }
  return {};
}

Result<std::optional<Model>> MemoryStore::FindModel(const ModelId& id) {
  const auto found = models_.find(id);
  if (found == models_.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<Model>> MemoryStore::Models() {
  std::vector<Model> models;
  for (const auto& [id, model] : models_) models.push_back(model);
  return models;
}

Result<RemovedArtifact> MemoryStore::RemoveModel(const ModelId& id) {
  const auto found = models_.find(id);
  if (found == models_.end()) return None("model", id.value);
  for (const JobRow& row : jobs_) {
    if (row.job.model == id && !IsFinal(row.job.state)) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("model {} is used by batch {}, which is not finished: cancel the "
                              "batch first",
                              id.value, row.job.id.value));
    }
  }
  const Digest artifact = found->second.artifact;
  models_.erase(found);
  return RemovedArtifact{artifact, !IsArtifactUsed(artifact)};
}

bool MemoryStore::IsArtifactUsed(const Digest& artifact) const {
  return std::ranges::any_of(files_, [&](const File& file) { return file.artifact == artifact; }) ||
         std::ranges::any_of(models_,
                             [&](const auto& entry) { return entry.second.artifact == artifact; });
}

File* MemoryStore::FileOf(const FileId& id) {
  const auto found = std::ranges::find(files_, id, &File::id);
  return found == files_.end() ? nullptr : &*found;
}

}  // namespace memory

std::unique_ptr<Store> NewMemoryStore() {
  return std::make_unique<memory::MemoryStore>();
}

}  // namespace fallow
