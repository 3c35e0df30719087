// Content-addressed files. An artifact is named by its SHA-256 and never changes.
//
// Threading: the coordinator's loop; every call is bounded by the size it is given.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"

namespace fallow {

struct ArtifactInfo {
  Digest digest;
  std::uint64_t size_bytes = 0;
};

// Destroying it before Finish leaves nothing behind.
class ArtifactWriter {
 public:
  virtual ~ArtifactWriter() = default;
  virtual Status Write(
      ByteView bytes) = 0;  // kResourceExhausted: the disk is full, or the size limit is reached
  virtual std::uint64_t size_bytes() const = 0;
  virtual Result<ArtifactInfo>
  Finish() = 0;  // durable when it returns; an equal artifact is kept once
};

class ArtifactReader {
 public:
  virtual ~ArtifactReader() = default;
  virtual std::uint64_t size_bytes() const = 0;
  // Reads up to `into.size()` bytes at `offset`; fewer only at the end. kDataLoss if the file is
  // not what it was.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> into) = 0;
};

class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;
  virtual Result<std::unique_ptr<ArtifactWriter>> Create() = 0;
  virtual Result<std::unique_ptr<ArtifactReader>> Open(const Digest& digest) = 0;  // kNotFound
  virtual Status Remove(const Digest& digest) = 0;  // fine if there is none
  // Where the file lies on this machine, to be mapped; none if the store is elsewhere. kNotFound if
  // there is none.
  virtual Result<std::optional<std::string>> LocalPath(const Digest& digest) = 0;
};

}  // namespace fallow
