// Unix sockets whose peers the system vouches for (SO_PEERCRED).
#include "platform/local_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "platform/linux/unix_socket.h"
#include "platform/os.h"
#include "platform/paths.h"
#include "platform/uv/uv_stream.h"

namespace fallow {
namespace {

constexpr uid_t kRoot = 0;
constexpr mode_t kForUser = S_IRUSR | S_IWUSR;
constexpr mode_t kForEverybody = kForUser | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
// Where everybody may look for a socket, but only its owner may put one.
constexpr mode_t kFolderForEverybody = S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;

std::optional<LocalPeer> PeerOf(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return LocalPeer{.user_id = peer.uid,
                   .process_id = peer.pid,
                   .is_ours = peer.uid == ::geteuid() || peer.uid == kRoot};
}

// A folder that is there already keeps its mode: whoever made it chose it.
Status MakeFolder(const std::string& folder, LocalCallers callers) {
  std::error_code ignored;
  const bool is_new = !std::filesystem::exists(folder, ignored);
  FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(folder));
  if (is_new && callers == LocalCallers::kAnyUser &&
      ::chmod(folder.c_str(), kFolderForEverybody) != 0) {
    return std::unexpected(os::SystemError("cannot let other users into " + folder, errno));
  }
  return {};
}

// Held by the server as long as it lives: whoever has it may replace the socket.
Result<OwnedDescriptor> LockPath(const std::string& path) {
  const std::string lock_path = path + ".lock";
  OwnedDescriptor lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kForUser));
  if (lock.number() < 0) return std::unexpected(os::SystemError("cannot open " + lock_path, errno));
  if (::flock(lock.number(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) {
    return std::unexpected(os::SystemError("cannot lock " + lock_path, errno));
  }
  return Fail(ErrorCode::kAlreadyExists,
              fmt::format("another program serves at {}: stop it first", path));
}

Result<OwnedDescriptor> BindSocket(const std::string& path, LocalCallers callers) {
  FALLOW_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddressOf(path));
  OwnedDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0) return std::unexpected(os::SystemError("cannot make a socket", errno));
  // Linux gives the file the socket's mode, so that it is private from its first moment.
  if (::fchmod(socket.number(), kForUser) != 0 ||
      (::unlink(path.c_str()) != 0 && errno != ENOENT) ||
      ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      (callers == LocalCallers::kAnyUser && ::chmod(path.c_str(), kForEverybody) != 0)) {
    return std::unexpected(os::SystemError("cannot serve at " + path, errno));
  }
  return socket;
}

class LocalListener : public Listener {
 public:
  using OnConnection = std::function<void(std::unique_ptr<ByteStream>, LocalPeer)>;

  LocalListener(std::string path, OwnedDescriptor lock, LocalCallers callers,
                OnConnection on_connection)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        callers_(callers),
        on_connection_(std::make_shared<OnConnection>(std::move(on_connection))) {}
  ~LocalListener() override {
    if (listener_ != nullptr) ::unlink(path_.c_str());
  }
  LocalListener(const LocalListener&) = delete;
  LocalListener& operator=(const LocalListener&) = delete;

  Status Listen(Loop& loop) {
    FALLOW_ASSIGN_OR_RETURN(OwnedDescriptor socket, BindSocket(path_, callers_));
    FALLOW_ASSIGN_OR_RETURN(
        listener_, ListenUnix(
                       loop, socket.Release(), [this](int descriptor) { return Admit(descriptor); },
                       [this](std::unique_ptr<ByteStream> stream) {
                         // The call may end this listener.
                         const auto call = on_connection_;
                         (*call)(std::move(stream), admitted_);
                       }));
    return {};
  }
  std::uint16_t port() const override { return 0; }

 private:
  // Comes right before the connection that it lets in.
  bool Admit(int descriptor) {
    const auto peer = PeerOf(descriptor);
    if (!peer) return false;
    admitted_ = *peer;
    return callers_ == LocalCallers::kAnyUser || peer->is_ours;
  }

  std::string path_;
  OwnedDescriptor lock_;
  LocalCallers callers_;
  std::shared_ptr<OnConnection> on_connection_;  // shared with the call in progress
  LocalPeer admitted_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace

Result<sockaddr_un> UnixAddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the socket's path {} has {} bytes, the system allows 1 to {}", path,
                            path.size(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<OwnedDescriptor> ConnectUnixSocket(const std::string& name, UnixNamespace where) {
  FALLOW_ASSIGN_OR_RETURN(sockaddr_un address, UnixAddressOf(name));
  socklen_t size = sizeof(address);
  if (where == UnixNamespace::kAbstract) {
    // Such a name begins with a zero and ends where the address does.
    address.sun_path[0] = '\0';
    name.copy(address.sun_path + 1, name.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  OwnedDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0) return std::unexpected(os::SystemError("cannot make a socket", errno));
  while (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    if (errno == EINTR) continue;
    Error error = os::SystemError("nobody serves at " + name, errno);
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) {
      error.code = ErrorCode::kUnavailable;
    } else if (errno == EAGAIN) {
      error = {ErrorCode::kResourceExhausted, "too many wait to be served at " + name};
    }
    return std::unexpected(std::move(error));
  }
  return socket;
}

Result<std::unique_ptr<Listener>> ListenLocal(
    Loop& loop, const std::string& path, LocalCallers callers,
    std::function<void(std::unique_ptr<ByteStream>, LocalPeer)> on_connection) {
  FALLOW_RETURN_IF_ERROR(UnixAddressOf(path));
  FALLOW_RETURN_IF_ERROR(
      MakeFolder(std::filesystem::absolute(path).parent_path().string(), callers));
  FALLOW_ASSIGN_OR_RETURN(OwnedDescriptor lock, LockPath(path));
  auto listener =
      std::make_unique<LocalListener>(path, std::move(lock), callers, std::move(on_connection));
  FALLOW_RETURN_IF_ERROR(listener->Listen(loop));
  return listener;
}

Result<std::unique_ptr<ByteStream>> ConnectLocal(Loop& loop, const std::string& path) {
  FALLOW_ASSIGN_OR_RETURN(OwnedDescriptor socket, ConnectUnixSocket(path));
  return OpenUnixStream(loop, socket.Release());
}

}  // namespace fallow
