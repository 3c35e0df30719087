// A CompiledKernelFile keeps compiled kernels in a file of the agent's own folder.
//
// What is kept is added at the file's end at once, so that a process that is killed loses at most
// what it was writing; nothing waits for the disk. Torn or changed content counts for nothing and
// is dropped when the file is next opened: a checksum tells, which is no protection from whoever
// may write to the folder. The path is used by Open alone, before a driver is loaded; from then on
// only the open file is.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "engine/kernel_store.h"
#include "platform/file.h"

namespace fallow {

// Limits; a device uses some 30 kernels. A file that is more than half full is made anew with its
// latest kernels, as far as they fill a half of that.
inline constexpr std::size_t kMaxKernelBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMaxKernelFileBytes = std::size_t{64} << 20;

class CompiledKernelFile : public engine::KernelStore {
 public:
  // Made if it is not there, with its folder (0700). Fails where it cannot be read. Where it cannot
  // be written, as on a full disk, what is in it is found all the same, and no more is kept.
  static Result<std::unique_ptr<CompiledKernelFile>> Open(const std::string& path);

  ByteView Find(const Digest& key) const override;
  // No longer after a write has failed, as on a full disk, or where the file is full.
  void Keep(const Digest& key, ByteView compiled) override;

  std::size_t file_bytes() const { return file_bytes_; }

 private:
  CompiledKernelFile() = default;
  // `remade`: in place of what is in the file.
  Status BeginToKeep(const std::string& path, const std::optional<Bytes>& remade);

  std::map<Digest, Bytes> kernels_;
  std::unique_ptr<OutputFile> file_;  // null: no more is kept
  std::size_t file_bytes_ = 0;
};

}  // namespace fallow
