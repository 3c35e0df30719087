#include "platform/life_sign.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

#include "platform/linux/owned_descriptor.h"
#include "platform/os.h"
#include "platform/paths.h"

namespace fallow {
namespace {

// Milliseconds since 1970, always as long: a moment replaces the one before byte by byte.
constexpr std::size_t kMaxSignBytes = 32;

// False, with errno, if it is not there.
bool IsInMemory(const std::string& folder) {
  struct statfs facts {};
  errno = 0;
  if (::statfs(folder.c_str(), &facts) != 0) return false;
  return facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC;
}

class FileLifeSign : public LifeSign {
 public:
  FileLifeSign(std::string path, OwnedDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  void Note(WallTime now) override {
    const std::string text = fmt::format("{:020}\n", UnixMs(now));
    [[maybe_unused]] const auto written = ::pwrite(file_.number(), text.data(), text.size(), 0);
  }

  void Forget() override { ::unlink(path_.c_str()); }

 private:
  const std::string path_;
  const OwnedDescriptor file_;
};

}  // namespace

Result<std::unique_ptr<LifeSign>> OpenLifeSign(const std::string& path) {
  if (!IsInMemory(std::filesystem::path(path).parent_path().string())) {
    if (errno != 0) return std::unexpected(os::SystemError("cannot write " + path, errno));
    return Fail(ErrorCode::kFailedPrecondition,
                path + " would be on a disk, and a sign of life is to cost no write of one");
  }
  // Not blocking: a named pipe must not hold us up.
  OwnedDescriptor file(::open(
      path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR));
  if (!file) return std::unexpected(os::SystemError("cannot write " + path, errno));
  return std::make_unique<FileLifeSign>(path, std::move(file));
}

std::optional<WallTime> ReadLifeSign(const std::string& path) {
  const auto text = ReadSmallFile(path, kMaxSignBytes);
  if (!text) return std::nullopt;
  std::int64_t unix_ms = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), unix_ms);
  if (error != std::errc() || std::string_view(end, text->data() + text->size()) != "\n")
    return std::nullopt;
  return WallTimeFromUnixMs(unix_ms);
}

}  // namespace fallow
