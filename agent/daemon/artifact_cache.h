// Model files on this device, by digest; fetched from the coordinator when missing.
//
// Invariant: a file under its own name is complete and had its digest when it came; downloads live
// in `*.part` and are taken up where they broke off. The files together stay below the limit: the
// least recently used go first. Threading: the loop's thread; hashing runs on another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/daemon/request_signer.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/result.h"
#include "platform/http_client.h"
#include "platform/loop.h"
#include "protocol/agent_messages.h"

namespace fallow {

// A fetch under way. Destroying it ends it; what has come stays for the next one.
class ArtifactFetch {
 public:
  virtual ~ArtifactFetch() = default;
  virtual std::uint64_t received_bytes() const = 0;
};

class ArtifactSource {
 public:
  virtual ~ArtifactSource() = default;
  // `done` is called once, later, with the path of the complete, checked file. Errors:
  // kResourceExhausted: the disk or the cache's limit is too small; kDataLoss: what the coordinator
  // sends has another digest; kUnavailable: it cannot be reached. One fetch at a time.
  [[nodiscard]] virtual std::unique_ptr<ArtifactFetch> Fetch(
      const ModelArtifact& artifact, std::function<void(Result<std::string>)> done) = 0;
  // Complete files.
  virtual std::vector<Digest> Cached() const = 0;
};

class ArtifactCache : public ArtifactSource {
 public:
  // Tries in a row that bring no byte before a fetch fails.
  static constexpr int kMaxFruitlessTries = 5;

  // Makes the folder. All must outlive the cache.
  static Result<std::unique_ptr<ArtifactCache>> Open(Loop& loop, HttpClient& http,
                                                     const RequestSigner& signer, Random& random,
                                                     std::string folder, std::uint64_t max_bytes);

  std::unique_ptr<ArtifactFetch> Fetch(const ModelArtifact& artifact,
                                       std::function<void(Result<std::string>)> done) override;
  std::vector<Digest> Cached() const override;

  std::uint64_t size_bytes() const;  // of everything in the folder, downloads included
  std::uint64_t max_bytes() const { return max_bytes_; }
  // What is kept beyond it is removed at once, the least recently used first, but for downloads
  // that are under way: those hold to it from the next fetch on. What a worker has open goes from
  // the disk when it lets go.
  void SetMaxBytes(std::uint64_t max_bytes);

 private:
  class Download;

  ArtifactCache(Loop& loop, HttpClient& http, const RequestSigner& signer, Random& random,
                std::string folder, std::uint64_t max_bytes);

  std::string PathOf(const Digest& digest) const { return folder_ + "/" + digest.Hex(); }
  struct Entry {
    std::filesystem::file_time_type used_at;
    std::string path;
  };
  std::vector<Entry> LeastRecentlyUsedFirst() const;
  Status Remove(const Entry& entry);
  // Removes least recently used files until `bytes` more fit below the limit and on the disk; never
  // `kept`.
  Status MakeRoom(std::uint64_t bytes, const ModelArtifact& kept);
  bool IsVerified(const Digest& digest) const;

  Loop& loop_;
  HttpClient& http_;
  const RequestSigner& signer_;
  Random& random_;
  std::string folder_;
  std::uint64_t max_bytes_;
  std::vector<Digest> verified_;  // hashed since this process started
};

}  // namespace fallow
