#include "platform/paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "base/encoding.h"
#include "platform/os.h"

namespace fallow {
namespace {

// An open file descriptor.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() { Close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }
  // False, with errno set, if the system reports a late write error.
  bool Close() {
    const int descriptor = std::exchange(descriptor_, -1);
    return descriptor < 0 || ::close(descriptor) == 0;
  }

 private:
  int descriptor_;
};

std::string HomeDirectory() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return home;
  if (const passwd* user = ::getpwuid(::geteuid()); user != nullptr && user->pw_dir != nullptr) {
    return user->pw_dir;
  }
  return "/";
}

// The specification: a relative value is to be ignored.
const char* AbsoluteVariable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] == '/' ? value : nullptr;
}

std::string OwnDirectory(const char* variable, std::string_view below_home) {
  const char* value = AbsoluteVariable(variable);
  if (value != nullptr) return std::string(value) + "/fallow";
  return fmt::format("{}/{}/fallow", HomeDirectory(), below_home);
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool WriteAll(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = ::write(descriptor, content.data(), content.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// A name beside `path` that nobody else uses.
std::string TemporaryNameFor(const std::string& path) {
  std::uint8_t bytes[8];
  FALLOW_CHECK(::getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
  return fmt::format("{}.{}.tmp", path, ToHex(bytes));
}

}  // namespace

std::string ConfigDirectory() {
  return OwnDirectory("XDG_CONFIG_HOME", ".config");
}
std::string StateDirectory() {
  return OwnDirectory("XDG_STATE_HOME", ".local/state");
}
std::string CacheDirectory() {
  return OwnDirectory("XDG_CACHE_HOME", ".cache");
}

std::string RuntimeDirectory() {
  const char* value = AbsoluteVariable("XDG_RUNTIME_DIR");
  return value != nullptr ? std::string(value) + "/fallow" : StateDirectory();
}

std::string ProgramDirectory() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : program.parent_path().string();
}

Result<std::string> PathInRootsHands(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  if (error) return std::unexpected(os::SystemError("cannot find " + path, error.value()));
  for (auto folder = real.parent_path(); !folder.empty(); folder = folder.parent_path()) {
    struct stat facts {};
    const bool there = ::lstat(folder.c_str(), &facts) == 0;
    if (!there && errno != ENOENT)
      return std::unexpected(os::SystemError("cannot look at " + folder.string(), errno));
    if (there && (facts.st_uid != 0 || (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("others than root may write to {}", folder.string()));
    }
    if (folder == folder.root_path()) break;
  }
  return real.string();
}

Status MakePrivateDirectory(const std::string& path) {
  if (path.empty()) return Fail(ErrorCode::kInvalidArgument, "the directory's name is empty");
  struct stat facts {};
  if (::stat(path.c_str(), &facts) == 0) {
    if (S_ISDIR(facts.st_mode)) return {};
    return Fail(ErrorCode::kAlreadyExists, path + " exists and is not a directory");
  }
  const std::string parent = ParentOf(path);
  if (parent != path && parent != ".") FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(parent));
  if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
    return std::unexpected(os::SystemError("cannot make the directory " + path, errno));
  }
  return {};
}

Result<std::string> ReadSmallFile(const std::string& path, std::size_t max_bytes) {
  // Not blocking: a named pipe must not hold us up.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.descriptor() < 0) return std::unexpected(os::SystemError("cannot open " + path, errno));
  std::string content;
  char buffer[16 << 10];
  while (true) {
    const ssize_t count = ::read(file.descriptor(), buffer, sizeof(buffer));
    if (count == 0) return content;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(os::SystemError("cannot read " + path, errno));
    content.append(buffer, static_cast<std::size_t>(count));
    if (content.size() > max_bytes) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("{} is longer than the limit of {} bytes", path, max_bytes));
    }
  }
}

namespace {

constexpr mode_t kPrivate = S_IRUSR | S_IWUSR;
constexpr mode_t kReadable = kPrivate | S_IRGRP | S_IROTH;

// `like`: whose owner and rights the new file takes; without it, it has `mode`.
Status Replace(const std::string& path, std::string_view content, mode_t mode,
               const struct stat* like) {
  const std::string parent = ParentOf(path);
  if (parent != ".") FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(parent));

  const std::string temporary = TemporaryNameFor(path);
  File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.descriptor() < 0) {
    return std::unexpected(os::SystemError("cannot write " + path, errno));
  }
  const auto has_rights = [&] {
    // Whatever this process' mask is.
    if (like == nullptr) return ::fchmod(file.descriptor(), mode) == 0;
    return ::fchown(file.descriptor(), like->st_uid, like->st_gid) == 0 &&
           ::fchmod(file.descriptor(), like->st_mode & 07777) == 0;
  };
  if (!has_rights() || !WriteAll(file.descriptor(), content) || ::fsync(file.descriptor()) != 0 ||
      !file.Close() || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary.c_str());
    return std::unexpected(os::SystemError("cannot write " + path, error_number));
  }
  // The new name is durable only when its directory is.
  const File directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.descriptor() < 0 || ::fsync(directory.descriptor()) != 0) {
    return std::unexpected(os::SystemError("cannot make durable " + path, errno));
  }
  return {};
}

Result<std::string> WhereItLeads(const std::string& path) {
  std::error_code error;
  std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (error) return std::unexpected(os::SystemError("cannot find " + path, error.value()));
  return real;
}

// Made by root it is for others too, as /etc is; a user's stays the user's.
Status MakeReadableDirectory(const std::string& path) {
  struct stat facts {};
  const bool is_new = ::stat(path.c_str(), &facts) != 0;
  FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(path));
  if (is_new && ::geteuid() == 0 &&
      ::chmod(path.c_str(), S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH) != 0)
    return std::unexpected(os::SystemError("cannot let others read " + path, errno));
  return {};
}

}  // namespace

Status WriteFileAtomically(const std::string& path, std::string_view content) {
  return Replace(path, content, kPrivate, nullptr);
}

Result<std::string> FolderToChangeIn(const std::string& path) {
  FALLOW_ASSIGN_OR_RETURN(const std::string real, WhereItLeads(path));
  FALLOW_RETURN_IF_ERROR(MakeReadableDirectory(ParentOf(real)));
  return ParentOf(real);
}

Status ChangeFileAtomically(const std::string& path, std::string_view content) {
  FALLOW_ASSIGN_OR_RETURN(const std::string real, WhereItLeads(path));
  struct stat facts {};
  if (::stat(real.c_str(), &facts) != 0) {
    FALLOW_RETURN_IF_ERROR(MakeReadableDirectory(ParentOf(real)));
    return Replace(real, content, kReadable, nullptr);
  }
  return Replace(real, content, kPrivate, &facts);
}

}  // namespace fallow
