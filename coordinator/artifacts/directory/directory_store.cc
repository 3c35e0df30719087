#include "coordinator/artifacts/directory/directory_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "platform/file.h"

namespace fallow {
namespace {

class DirectoryStore;

class DirectoryWriter : public ArtifactWriter {
 public:
  DirectoryWriter(DirectoryStore& store, std::string path, std::unique_ptr<OutputFile> file)
      : store_(store), path_(std::move(path)), file_(std::move(file)) {}
  ~DirectoryWriter() override;

  Status Write(ByteView bytes) override;
  std::uint64_t size_bytes() const override { return size_bytes_; }
  Result<ArtifactInfo> Finish() override;

 private:
  DirectoryStore& store_;
  std::string path_;
  std::unique_ptr<OutputFile> file_;  // null once finished
  Sha256 sha256_;
  std::uint64_t size_bytes_ = 0;
  Status broken_;  // a failed write leaves a hole: nothing may follow
};

class DirectoryReader : public ArtifactReader {
 public:
  explicit DirectoryReader(std::unique_ptr<InputFile> file) : file_(std::move(file)) {}
  std::uint64_t size_bytes() const override { return file_->size_bytes(); }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> into) override {
    FALLOW_ASSIGN_OR_RETURN(const std::size_t count, file_->ReadAt(offset, into));
    const std::uint64_t size = file_->size_bytes();
    const std::uint64_t expected =
        offset >= size ? 0 : std::min<std::uint64_t>(into.size(), size - offset);
    if (count != expected) {
      return Fail(ErrorCode::kDataLoss, fmt::format("artifact read at {}: {} bytes where {} were",
                                                    offset, count, expected));
    }
    return count;
  }

 private:
  std::unique_ptr<InputFile> file_;
};

class DirectoryStore : public ArtifactStore {
 public:
  DirectoryStore(std::string root, const DirectoryStoreOptions& options)
      : root_(std::move(root)), options_(options) {}

  Status Prepare() {
    FALLOW_RETURN_IF_ERROR(MakeDirectories(Incoming()));
    FALLOW_ASSIGN_OR_RETURN(const auto leftovers, ListDirectory(Incoming()));
    for (const std::string& name : leftovers) {
      LOG_INFO("artifacts: removing an unfinished file name={}", name);
      FALLOW_RETURN_IF_ERROR(RemoveFileIfAny(Incoming() + "/" + name));
    }
    return {};
  }

  Result<std::unique_ptr<ArtifactWriter>> Create() override {
    std::string path = fmt::format("{}/{}", Incoming(), ++writer_count_);
    FALLOW_ASSIGN_OR_RETURN(auto file, CreateOutputFile(path));
    return std::make_unique<DirectoryWriter>(*this, std::move(path), std::move(file));
  }

  Result<std::unique_ptr<ArtifactReader>> Open(const Digest& digest) override {
    auto file = OpenInputFile(PathOf(digest));
    if (!file) {
      if (file.error().code == ErrorCode::kNotFound)
        return Fail(ErrorCode::kNotFound, fmt::format("no artifact {}", digest.Hex()));
      return std::unexpected(std::move(file).error());
    }
    return std::make_unique<DirectoryReader>(*std::move(file));
  }

  Status Remove(const Digest& digest) override { return RemoveFileIfAny(PathOf(digest)); }

  Result<std::optional<std::string>> LocalPath(const Digest& digest) override {
    std::string path = PathOf(digest);
    FALLOW_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
    if (!exists) return Fail(ErrorCode::kNotFound, fmt::format("no artifact {}", digest.Hex()));
    return path;
  }

  // Moves a synced file to its digest's place.
  Status Keep(const std::string& path, const Digest& digest) {
    const std::string target = PathOf(digest);
    FALLOW_ASSIGN_OR_RETURN(const bool exists, FileExists(target));
    if (exists) return RemoveFileIfAny(path);
    FALLOW_RETURN_IF_ERROR(MakeDirectories(Shard(digest)));
    return RenameDurably(path, target);
  }

  const DirectoryStoreOptions& options() const { return options_; }

 private:
  std::string Incoming() const { return root_ + "/incoming"; }
  std::string Shard(const Digest& digest) const { return root_ + "/" + digest.Hex().substr(0, 2); }
  std::string PathOf(const Digest& digest) const { return Shard(digest) + "/" + digest.Hex(); }

  std::string root_;
  DirectoryStoreOptions options_;
  std::uint64_t writer_count_ = 0;
};

DirectoryWriter::~DirectoryWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  if (auto removed = RemoveFileIfAny(path_); !removed)
    LOG_WARN("artifacts: {}", removed.error().message);
}

Status DirectoryWriter::Write(ByteView bytes) {
  FALLOW_RETURN_IF_ERROR(broken_);
  if (file_ == nullptr) return Fail(ErrorCode::kFailedPrecondition, "the artifact is finished");
  const std::uint64_t limit = store_.options().max_artifact_bytes;
  if (bytes.size() > limit - size_bytes_) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("an artifact may have at most {} bytes", limit));
  }
  if (auto written = file_->Write(bytes); !written) {
    broken_ = written;
    return written;
  }
  sha256_.Update(bytes);
  size_bytes_ += bytes.size();
  return {};
}

Result<ArtifactInfo> DirectoryWriter::Finish() {
  FALLOW_RETURN_IF_ERROR(broken_);
  if (file_ == nullptr) return Fail(ErrorCode::kFailedPrecondition, "the artifact is finished");
  const ArtifactInfo info{sha256_.Finish(), size_bytes_};
  broken_ = file_->Sync();
  FALLOW_RETURN_IF_ERROR(broken_);
  broken_ = store_.Keep(path_, info.digest);
  FALLOW_RETURN_IF_ERROR(broken_);
  file_.reset();
  return info;
}

}  // namespace

Result<std::unique_ptr<ArtifactStore>> OpenDirectoryStore(const std::string& root,
                                                          const DirectoryStoreOptions& options) {
  auto store = std::make_unique<DirectoryStore>(root, options);
  if (auto prepared = store->Prepare(); !prepared)
    return Wrap(std::move(prepared).error(), "artifact directory");
  return store;
}

}  // namespace fallow
