// Small text files of /proc and /sys: what the kernel tells about the machine.
//
// Paths are given whole, so that a test may put a machine of its own in a folder. Values that are
// missing or make no sense are none; only KernelFile keeps the reason.
//
// Threading: as the caller's; nothing is shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow {

// Sysfs gives one page at most; the longest file that is read here whole is /proc/stat, whose line
// of interrupts grows with the machine.
inline constexpr std::size_t kMaxKernelFileBytes = 256 << 10;
// Entries of one folder that are looked at: more processes than any desktop runs.
inline constexpr std::size_t kMaxFolderEntries = 65'536;

// A file that is opened once and read again and again. Its content is that of the moment of the
// read.
class KernelFile {
 public:
  static Result<KernelFile> Open(const std::string& path);
  KernelFile(KernelFile&& other) noexcept;
  KernelFile& operator=(KernelFile&& other) noexcept;
  ~KernelFile();

  // The text without its last line break. A device that has gone since is an error.
  Result<std::string> Read() const;
  const std::string& path() const { return path_; }

 private:
  KernelFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_ = -1;
};

// The text without its last line break, at most the first `max_bytes` of it.
std::optional<std::string> ReadKernelText(const std::string& path,
                                          std::size_t max_bytes = kMaxKernelFileBytes);
std::optional<std::int64_t> ReadKernelNumber(const std::string& path);

// Writes all of `text` in one go, as the kernel wants it. Makes no file.
Status WriteKernelFile(const std::string& path, std::string_view text);

// A decimal number, white space around it; none if anything else is there.
std::optional<std::int64_t> ParseKernelNumber(std::string_view text);

// What a link points to, as it is written there.
std::optional<std::string> LinkTarget(const std::string& path);
Result<std::vector<std::string>> ListNames(const std::string& folder);  // unsorted
// The names in a folder without "." and "..", numbers in their order ("hwmon2" before "hwmon10").
// Empty if it cannot be read.
std::vector<std::string> NamesIn(const std::string& folder);
// The process ids in a /proc, ascending.
std::vector<std::int64_t> ProcessIdsIn(const std::string& proc);

std::string_view Trimmed(std::string_view text);
// Without the folders before it.
std::string_view LastPart(std::string_view path);

}  // namespace fallow
