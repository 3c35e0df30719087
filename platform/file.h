// Files that must survive a crash: written whole, synced, renamed into place; and read at offsets.
//
// Threading: any one thread at a time; calls block for the size they are given.
// A full disk, a quota and a read-only file system are kResourceExhausted.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

// A new file. Destroying it closes it and leaves what was written.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual Status Write(ByteView bytes) = 0;
  virtual Status Sync() = 0;  // what was written survives a power cut when it returns
};

class InputFile {
 public:
  virtual ~InputFile() = default;
  virtual std::uint64_t size_bytes() const = 0;  // when it was opened
  // Reads up to `into.size()` bytes at `offset`; fewer only at the end.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> into) = 0;
};

Result<std::unique_ptr<OutputFile>> CreateOutputFile(const std::string& path);  // 0600; must be new
// Written on at its end; made (0600) if it is not there.
Result<std::unique_ptr<OutputFile>> OpenFileToAppend(const std::string& path);
Result<std::unique_ptr<InputFile>> OpenInputFile(const std::string& path);  // kNotFound
// Replaces `to`; durable when it returns. Both on one file system.
Status RenameDurably(const std::string& from, const std::string& to);
Status RemoveFileIfAny(const std::string& path);
Result<bool> FileExists(const std::string& path);
Status MakeDirectories(const std::string& path);                          // 0700
Result<std::vector<std::string>> ListDirectory(const std::string& path);  // names

}  // namespace fallow
