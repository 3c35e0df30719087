#include "platform/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace fallow {
namespace {

std::unexpected<Error> SystemError(int error_number, std::string_view action,
                                   const std::string& path) {
  ErrorCode code = ErrorCode::kInternal;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
      code = ErrorCode::kAlreadyExists;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::kPermissionDenied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EROFS:
    case EMFILE:
    case ENFILE:
      code = ErrorCode::kResourceExhausted;
      break;
    case EIO:
      code = ErrorCode::kDataLoss;
      break;
    default:
      break;
  }
  return Fail(code, fmt::format("{}: cannot {}: {}", path, action, std::strerror(error_number)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class LinuxOutputFile : public OutputFile {
 public:
  LinuxOutputFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Status Write(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
      if (count < 0) {
        if (errno == EINTR) continue;
        return SystemError(errno, "write", path_);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }

  Status Sync() override {
    if (::fsync(fd_.get()) != 0) return SystemError(errno, "sync", path_);
    return {};
  }

 private:
  std::string path_;
  Descriptor fd_;
};

class LinuxInputFile : public InputFile {
 public:
  LinuxInputFile(std::string path, Descriptor fd, std::uint64_t size_bytes)
      : path_(std::move(path)), fd_(std::move(fd)), size_bytes_(size_bytes) {}

  std::uint64_t size_bytes() const override { return size_bytes_; }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t count = ::pread(fd_.get(), into.data() + done, into.size() - done,
                                    static_cast<off_t>(offset + done));
      if (count < 0) {
        if (errno == EINTR) continue;
        return SystemError(errno, "read", path_);
      }
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

 private:
  std::string path_;
  Descriptor fd_;
  std::uint64_t size_bytes_;
};

// Makes the directory's entries survive a power cut.
Status SyncDirectory(std::string path) {
  if (path.empty()) path = ".";
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return SystemError(errno, "open", path);
  if (::fsync(directory.get()) != 0) return SystemError(errno, "sync", path);
  return {};
}

}  // namespace

Result<std::unique_ptr<OutputFile>> CreateOutputFile(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) return SystemError(errno, "create", path);
  return std::make_unique<LinuxOutputFile>(path, std::move(fd));
}

Result<std::unique_ptr<OutputFile>> OpenFileToAppend(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (fd.get() < 0) return SystemError(errno, "open", path);
  return std::make_unique<LinuxOutputFile>(path, std::move(fd));
}

Result<std::unique_ptr<InputFile>> OpenInputFile(const std::string& path) {
  // Not blocking: a named pipe must not hold us up.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return SystemError(errno, "open", path);
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) return SystemError(errno, "examine", path);
  if (!S_ISREG(facts.st_mode))
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: not a regular file", path));
  return std::make_unique<LinuxInputFile>(path, std::move(fd),
                                          static_cast<std::uint64_t>(facts.st_size));
}

Status RenameDurably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return SystemError(errno, "rename to", to);
  return SyncDirectory(std::filesystem::path(to).parent_path().string());
}

Status RemoveFileIfAny(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError(errno, "remove", path);
  return {};
}

Result<bool> FileExists(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return SystemError(errno, "examine", path);
}

Status MakeDirectories(const std::string& path) {
  std::filesystem::path so_far;
  for (const auto& part : std::filesystem::path(path)) {
    so_far /= part;
    if (::mkdir(so_far.c_str(), 0700) == 0) {
      FALLOW_RETURN_IF_ERROR(SyncDirectory(so_far.parent_path().string()));
      continue;
    }
    if (errno == EEXIST) continue;
    const int error_number = errno;
    std::error_code ignored;
    if (!std::filesystem::is_directory(so_far, ignored))
      return SystemError(error_number, "make directory", so_far.string());
  }
  return {};
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return SystemError(error.value(), "list", path);
  return names;
}

}  // namespace fallow
