#include "platform/os.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <vector>

namespace fallow::os {

Error SystemError(std::string_view what, int error_number) {
  const auto code = [&] {
    switch (error_number) {
      case ENOENT:
      case ENOTDIR:
        return ErrorCode::kNotFound;
      case EEXIST:
      case EADDRINUSE:
        return ErrorCode::kAlreadyExists;
      case EACCES:
      case EPERM:
      case EROFS:
        return ErrorCode::kPermissionDenied;
      case ENOSPC:
      case EDQUOT:
      case EMFILE:
      case ENFILE:
      case ENOMEM:
        return ErrorCode::kResourceExhausted;
      case EINVAL:
      case ENAMETOOLONG:
      case EISDIR:
      case ELOOP:
        return ErrorCode::kInvalidArgument;
      case EAGAIN:
      case EPIPE:
      case ECONNREFUSED:
      case ECONNRESET:
      case EADDRNOTAVAIL:
        return ErrorCode::kUnavailable;
      case ETIMEDOUT:
        return ErrorCode::kDeadlineExceeded;
      default:
        return ErrorCode::kInternal;
    }
  }();
  return {code, fmt::format("{}: {}", what, std::generic_category().message(error_number))};
}

void IgnoreBrokenPipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

void KeepFilesFromChildren() {
  if (::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Kernels before 5.11.
  std::error_code ignored;
  std::vector<int> open_files;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    open_files.push_back(std::atoi(entry.path().filename().c_str()));
  }
  for (const int file : open_files) {
    if (file > 2) ::fcntl(file, F_SETFD, FD_CLOEXEC);
  }
}

Status CheckIsPrivate(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    return std::unexpected(SystemError("cannot read " + path, errno));
  }
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{} is open to other users (mode {:04o}): run 'chmod 600 {}', and make "
                            "a new one if somebody may have read it",
                            path, facts.st_mode & 07777u, path));
  }
  return {};
}

}  // namespace fallow::os
