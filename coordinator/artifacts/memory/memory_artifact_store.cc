#include "coordinator/artifacts/memory/memory_artifact_store.h"

#include <algorithm>
#include <utility>

namespace fallow {

class MemoryArtifactStore::Writer : public ArtifactWriter {
 public:
  explicit Writer(MemoryArtifactStore& store) : store_(store) {}

  Status Write(ByteView bytes) override {
    if (store_.disk_full_) return Fail(ErrorCode::kResourceExhausted, "the disk is full");
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }
  std::uint64_t size_bytes() const override { return bytes_.size(); }
  Result<ArtifactInfo> Finish() override {
    if (store_.disk_full_) return Fail(ErrorCode::kResourceExhausted, "the disk is full");
    const ArtifactInfo info{Sha256::Of(bytes_), bytes_.size()};
    store_.artifacts_.try_emplace(info.digest, std::make_shared<const Bytes>(std::move(bytes_)));
    return info;
  }

 private:
  MemoryArtifactStore& store_;
  Bytes bytes_;
};

class MemoryArtifactStore::Reader : public ArtifactReader {
 public:
  explicit Reader(std::shared_ptr<const Bytes> bytes) : bytes_(std::move(bytes)) {}

  std::uint64_t size_bytes() const override { return bytes_->size(); }
  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> into) override {
    if (offset >= bytes_->size()) return 0;
    const std::size_t count = std::min<std::size_t>(into.size(), bytes_->size() - offset);
    std::copy_n(bytes_->begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
    return count;
  }

 private:
  std::shared_ptr<const Bytes> bytes_;
};

Result<std::unique_ptr<ArtifactWriter>> MemoryArtifactStore::Create() {
  return std::make_unique<Writer>(*this);
}

Result<std::unique_ptr<ArtifactReader>> MemoryArtifactStore::Open(const Digest& digest) {
  const auto found = artifacts_.find(digest);
  if (found == artifacts_.end()) return Fail(ErrorCode::kNotFound, "no artifact " + digest.Hex());
  return std::make_unique<Reader>(found->second);
}

Status MemoryArtifactStore::Remove(const Digest& digest) {
  artifacts_.erase(digest);
  return {};
}

Result<std::optional<std::string>> MemoryArtifactStore::LocalPath(const Digest& digest) {
  if (!artifacts_.contains(digest))
    return Fail(ErrorCode::kNotFound, "no artifact " + digest.Hex());
  return std::nullopt;
}

}  // namespace fallow
