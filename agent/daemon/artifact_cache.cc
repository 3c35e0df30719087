#include "agent/daemon/artifact_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "agent/daemon/backoff.h"
#include "base/log.h"
#include "platform/file.h"

namespace fallow {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t kHashPieceBytes = 1 << 20;
constexpr milliseconds kFirstRetry{500};
constexpr milliseconds kMaxRetry{30'000};
constexpr milliseconds kDownloadStall{30'000};

std::uint64_t FileSize(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

Result<Digest> HashFile(const std::string& path) {
  FALLOW_ASSIGN_OR_RETURN(const auto file, OpenInputFile(path));
  Sha256 hash;
  Bytes piece(kHashPieceBytes);
  for (std::uint64_t offset = 0;;) {
    FALLOW_ASSIGN_OR_RETURN(const std::size_t count, file->ReadAt(offset, piece));
    if (count == 0) return hash.Finish();
    hash.Update(ByteView(piece).first(count));
    offset += count;
  }
}

Error WriteError(const std::string& path, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return {full ? ErrorCode::kResourceExhausted : ErrorCode::kInternal,
          fmt::format("cannot write {}: {}{}", path, std::strerror(error_number),
                      full ? "; free some space or lower limits.disk_gib" : "")};
}

constexpr std::string_view kPartSuffix = ".part";  // of what is not wholly here yet

std::string SizeText(std::uint64_t bytes) {
  constexpr std::uint64_t kGib = 1u << 30, kMib = 1u << 20;
  if (bytes >= kGib) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGib);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMib);
}

}  // namespace

// One artifact on its way in: tries, each going on from what is there, then the hash, then the
// rename.
class ArtifactCache::Download : public ArtifactFetch {
 public:
  Download(ArtifactCache& cache, const ModelArtifact& artifact,
           std::function<void(Result<std::string>)> done)
      : cache_(cache),
        artifact_(artifact),
        path_(cache.PathOf(artifact.digest)),
        part_path_(path_ + std::string(kPartSuffix)),
        done_(std::move(done)),
        backoff_(cache.random_, kFirstRetry, kMaxRetry) {}

  std::uint64_t received_bytes() const override { return received_; }

  void Start() {
    std::error_code error;
    if (fs::exists(path_, error)) {
      fs::last_write_time(path_, fs::file_time_type::clock::now(),
                          error);  // what was used last goes last
      if (!cache_.IsVerified(artifact_.digest)) return Verify(path_);
      received_ = artifact_.size_bytes;
      return Post([this] { done_(path_); });
    }
    received_ = FileSize(part_path_);
    if (received_ > artifact_.size_bytes) Discard();
    if (auto status = cache_.MakeRoom(artifact_.size_bytes - received_, artifact_); !status) {
      return Post([this, failure = std::move(status).error()] { done_(std::unexpected(failure)); });
    }
    Continue();
  }

 private:
  void Post(std::function<void()> fn) {
    cache_.loop_.Post([alive = std::weak_ptr(alive_), fn = std::move(fn)] {
      if (!alive.expired()) fn();
    });
  }

  void Discard() {
    part_.reset();
    (void)RemoveFileIfAny(part_path_);
    received_ = 0;
  }

  void Continue() {
    if (received_ == artifact_.size_bytes) return Verify(part_path_);
    part_.emplace(part_path_, std::ios::binary | std::ios::app);
    if (!*part_) {
      return Post(
          [this, error = WriteError(part_path_, errno)] { Finish(std::unexpected(error)); });
    }
    resumed_ = received_ > 0;
    try_start_ = received_;
    HttpRequest request =
        cache_.signer_.Get(fmt::format("/agent/v1/artifacts/{}", artifact_.digest.Hex()));
    if (resumed_) request.headers.emplace_back("Range", fmt::format("bytes={}-", received_));
    request.timeout = milliseconds(0);
    request.stall_timeout = kDownloadStall;
    request.on_body = [this](ByteView piece) { return Append(piece); };
    exchange_ = cache_.http_.Send(std::move(request),
                                  [this](Result<HttpReply> reply) { EndTry(std::move(reply)); });
  }

  bool Append(ByteView piece) {
    if (piece.size() > artifact_.size_bytes - received_) {
      failure_ =
          Error{ErrorCode::kDataLoss, fmt::format("artifact {}: more than its {} bytes came",
                                                  artifact_.digest.Hex(), artifact_.size_bytes)};
      return false;
    }
    errno = 0;
    part_->write(reinterpret_cast<const char*>(piece.data()),
                 static_cast<std::streamsize>(piece.size()));
    if (!*part_) {
      failure_ = WriteError(part_path_, errno);
      return false;
    }
    received_ += piece.size();
    return true;
  }

  void EndTry(Result<HttpReply> reply) {
    errno = 0;
    part_->flush();
    if (!*part_ && !failure_) failure_ = WriteError(part_path_, errno);
    part_.reset();
    if (failure_) return EndWithFailure(reply);
    if (reply && (reply->status == 416 || (resumed_ && reply->status == 200))) {
      // The server cannot go on from here: what we have is not what it has, or it sends the whole.
      Discard();
      return Retry({ErrorCode::kUnavailable, "the coordinator does not resume this download"});
    }
    if (reply && reply->status != 200 && reply->status != 206) {
      const Error error = ErrorOfReply(*reply);
      return IsTransient(error) ? Retry(error) : Finish(std::unexpected(error));
    }
    if (received_ == artifact_.size_bytes) return Verify(part_path_);
    if (!reply && !IsTransient(reply.error()))
      return Finish(std::unexpected(std::move(reply).error()));
    Retry(reply ? Error{ErrorCode::kUnavailable, "the download ended early"} : reply.error());
  }

  // Something is wrong on our side, or with what came.
  void EndWithFailure(const Result<HttpReply>& reply) {
    const Error failure = *std::exchange(failure_, std::nullopt);
    if (failure.code == ErrorCode::kDataLoss) {
      Discard();
      // A server that ignores Range sends the whole again, which is too much only because we had a
      // part.
      if (resumed_ && !restarted_) {
        restarted_ = true;
        return Retry(reply ? failure : reply.error());
      }
    }
    Finish(std::unexpected(failure));
  }

  void Retry(const Error& error) {
    if (received_ > try_start_) backoff_.Reset();
    if (backoff_.tries() + 1 >= kMaxFruitlessTries) return Finish(std::unexpected(error));
    const milliseconds delay = backoff_.Next();
    LOG_INFO("agent: download of {} goes on in {} ms from byte {}: {}", artifact_.digest.Hex(),
             delay.count(), received_, error.message);
    timer_ = cache_.loop_.After(delay, [this] { Continue(); });
  }

  void Verify(const std::string& path) {
    auto digest = std::make_shared<Result<Digest>>(Fail(ErrorCode::kInternal, "not hashed"));
    cache_.loop_.Blocking([path, digest] { *digest = HashFile(path); },
                          [this, path, digest, alive = std::weak_ptr(alive_)] {
                            if (!alive.expired()) EndVerify(path, *digest);
                          });
  }

  void EndVerify(const std::string& path, const Result<Digest>& digest) {
    if (!digest) return Finish(std::unexpected(digest.error()));
    if (*digest == artifact_.digest) {
      if (path == part_path_) {
        if (auto status = RenameDurably(part_path_, path_); !status)
          return Finish(std::unexpected(status.error()));
      }
      received_ = artifact_.size_bytes;
      cache_.verified_.push_back(artifact_.digest);
      return Finish(path_);
    }
    const bool was_cached = path == path_;
    if (was_cached) (void)RemoveFileIfAny(path_);
    Discard();
    const Error error{ErrorCode::kDataLoss,
                      fmt::format("artifact {}: what {} has the digest {}", artifact_.digest.Hex(),
                                  was_cached ? "lay in the cache" : "came", digest->Hex())};
    LOG_WARN("agent: {}", error.message);
    // A part from before may have been damaged on this disk: the whole is fetched anew, once.
    if ((was_cached || resumed_) && !restarted_) {
      restarted_ = true;
      if (auto status = cache_.MakeRoom(artifact_.size_bytes, artifact_); !status) {
        return Finish(std::unexpected(status.error()));
      }
      return Continue();
    }
    Finish(std::unexpected(error));
  }

  void Finish(Result<std::string> result) {
    timer_.reset();
    done_(std::move(result));  // last: may destroy this
  }

  ArtifactCache& cache_;
  const ModelArtifact artifact_;
  const std::string path_, part_path_;
  std::function<void(Result<std::string>)> done_;
  Backoff backoff_;
  std::uint64_t received_ = 0;
  std::uint64_t try_start_ = 0;
  bool resumed_ = false;
  bool restarted_ = false;
  std::optional<std::ofstream> part_;
  std::optional<Error> failure_;
  std::unique_ptr<HttpExchange> exchange_;
  std::unique_ptr<Timer> timer_;
  // Posted calls outlive a cancelled download; they look here first.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

Result<std::unique_ptr<ArtifactCache>> ArtifactCache::Open(Loop& loop, HttpClient& http,
                                                           const RequestSigner& signer,
                                                           Random& random, std::string folder,
                                                           std::uint64_t max_bytes) {
  FALLOW_RETURN_IF_ERROR(MakeDirectories(folder));
  return std::unique_ptr<ArtifactCache>(
      new ArtifactCache(loop, http, signer, random, std::move(folder), max_bytes));
}

ArtifactCache::ArtifactCache(Loop& loop, HttpClient& http, const RequestSigner& signer,
                             Random& random, std::string folder, std::uint64_t max_bytes)
    : loop_(loop),
      http_(http),
      signer_(signer),
      random_(random),
      folder_(std::move(folder)),
      max_bytes_(max_bytes) {}

std::unique_ptr<ArtifactFetch> ArtifactCache::Fetch(const ModelArtifact& artifact,
                                                    std::function<void(Result<std::string>)> done) {
  auto download = std::make_unique<Download>(*this, artifact, std::move(done));
  download->Start();
  return download;
}

bool ArtifactCache::IsVerified(const Digest& digest) const {
  return std::ranges::find(verified_, digest) != verified_.end();
}

std::vector<Digest> ArtifactCache::Cached() const {
  std::vector<Digest> digests;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (const auto digest = Digest::FromHex(entry.path().filename().string()))
      digests.push_back(*digest);
  }
  return digests;
}

std::uint64_t ArtifactCache::size_bytes() const {
  std::uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const auto size = entry.file_size(error);
    if (!error) total += size;
  }
  return total;
}

void ArtifactCache::SetMaxBytes(std::uint64_t max_bytes) {
  max_bytes_ = max_bytes;
  for (const Entry& entry : LeastRecentlyUsedFirst()) {
    if (size_bytes() <= max_bytes_) return;
    if (entry.path.ends_with(kPartSuffix)) continue;
    if (auto removed = Remove(entry); !removed) LOG_WARN("agent: {}", removed.error().message);
  }
}

std::vector<ArtifactCache::Entry> ArtifactCache::LeastRecentlyUsedFirst() const {
  std::vector<Entry> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    std::error_code ignored;
    entries.push_back({entry.last_write_time(ignored), entry.path().string()});
  }
  std::ranges::sort(entries, {}, &Entry::used_at);
  return entries;
}

Status ArtifactCache::Remove(const Entry& entry) {
  LOG_INFO("agent: removing cached {}", entry.path);
  FALLOW_RETURN_IF_ERROR(RemoveFileIfAny(entry.path));
  std::erase_if(verified_, [&](const Digest& digest) { return entry.path == PathOf(digest); });
  return {};
}

Status ArtifactCache::MakeRoom(std::uint64_t bytes, const ModelArtifact& kept) {
  if (kept.size_bytes > max_bytes_) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("model {} has {}, the cache may hold {}; raise limits.disk_gib",
                            kept.model.value, SizeText(kept.size_bytes), SizeText(max_bytes_)));
  }
  const auto available = [this] {
    std::error_code failed;
    const auto space = fs::space(folder_, failed);
    return failed ? UINT64_MAX : space.available;
  };
  for (const Entry& entry : LeastRecentlyUsedFirst()) {
    if (size_bytes() + bytes <= max_bytes_ && bytes <= available()) return {};
    if (fs::path(entry.path).filename().string().starts_with(kept.digest.Hex())) continue;
    FALLOW_RETURN_IF_ERROR(Remove(entry));
  }
  if (bytes > available()) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the disk of {} is full: model {} needs {}, {} are free", folder_,
                            kept.model.value, SizeText(bytes), SizeText(available())));
  }
  return {};
}

}  // namespace fallow
