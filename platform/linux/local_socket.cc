// Local calls over a Unix socket: four bytes of length, then the text, each way.
#include "platform/local_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <list>
#include <optional>
#include <utility>

#include "base/check.h"
#include "platform/os.h"
#include "platform/paths.h"
#include "platform/uv/uv_stream.h"

namespace fallow {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kMaxRequestBytes = 1 << 20;
constexpr std::size_t kMaxReplyBytes = 16 << 20;
constexpr std::size_t kMaxOpenCalls = 32;
// A caller who is slower than this blocks a place for others.
constexpr std::chrono::milliseconds kCallTimeout{5'000};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int number() const { return number_; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

Bytes WithLength(std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  Bytes bytes;
  bytes.reserve(kLengthBytes + text.size());
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  const ByteView content = AsBytes(text);
  bytes.insert(bytes.end(), content.begin(), content.end());
  return bytes;
}

// The announced length of what follows, once its four bytes are there.
std::optional<std::size_t> AnnouncedLength(std::string_view received) {
  if (received.size() < kLengthBytes) return std::nullopt;
  std::size_t size = 0;
  for (const char byte : received.substr(0, kLengthBytes)) {
    size = size << 8 | static_cast<std::uint8_t>(byte);
  }
  return size;
}

Result<sockaddr_un> AddressOf(const std::string& path) {
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

bool IsSameUser(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == ::geteuid();
}

// Held by the server as long as it lives: whoever has it may replace the socket.
Result<Descriptor> LockPath(const std::string& path) {
  const std::string lock_path = path + ".lock";
  Descriptor lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (lock.number() < 0) return std::unexpected(os::SystemError("cannot open " + lock_path, errno));
  if (::flock(lock.number(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) {
    return std::unexpected(os::SystemError("cannot lock " + lock_path, errno));
  }
  return Fail(ErrorCode::kAlreadyExists,
              fmt::format("another program serves at {}: stop it first", path));
}

Result<Descriptor> BindSocket(const std::string& path) {
  FALLOW_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0) return std::unexpected(os::SystemError("cannot make a socket", errno));
  // Linux gives the file the socket's mode, so that it is private from its first moment.
  if (::fchmod(socket.number(), S_IRUSR | S_IWUSR) != 0 ||
      (::unlink(path.c_str()) != 0 && errno != ENOENT) ||
      ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return std::unexpected(os::SystemError("cannot serve at " + path, errno));
  }
  return socket;
}

class LocalCallServer : public Listener {
 public:
  using Answer = std::function<std::string(std::string_view)>;

  LocalCallServer(Loop& loop, std::string path, Descriptor lock, Answer answer)
      : loop_(loop),
        path_(std::move(path)),
        lock_(std::move(lock)),
        answer_(std::make_shared<Answer>(std::move(answer))) {}
  ~LocalCallServer() override {
    if (listener_ != nullptr) ::unlink(path_.c_str());
  }
  LocalCallServer(const LocalCallServer&) = delete;
  LocalCallServer& operator=(const LocalCallServer&) = delete;

  Status Listen() {
    FALLOW_ASSIGN_OR_RETURN(Descriptor socket, BindSocket(path_));
    FALLOW_ASSIGN_OR_RETURN(
        listener_, ListenUnix(loop_, socket.Release(), IsSameUser,
                              [this](std::unique_ptr<ByteStream> s) { Accept(std::move(s)); }));
    return {};
  }
  std::uint16_t port() const override { return 0; }

 private:
  struct Call {
    std::unique_ptr<ByteStream> stream;
    std::unique_ptr<Timer> timeout;
    std::string received;
    bool answered = false;
  };
  using Place = std::list<Call>::iterator;

  void Accept(std::unique_ptr<ByteStream> stream) {
    if (calls_.size() >= kMaxOpenCalls) return;
    const Place call = calls_.emplace(calls_.end());
    call->stream = std::move(stream);
    call->timeout = loop_.After(kCallTimeout, [this, call] { calls_.erase(call); });
    call->stream->SetHandler({.on_data = [this, call](ByteView bytes) { OnData(call, bytes); },
                              .on_end = [this, call](const Status&) { calls_.erase(call); },
                              .on_writable = nullptr});
  }

  void OnData(Place call, ByteView bytes) {
    if (call->answered) return;
    call->received += AsText(bytes);
    const auto length = AnnouncedLength(call->received);
    if (!length) return;
    if (*length > kMaxRequestBytes) {
      calls_.erase(call);
      return;
    }
    if (call->received.size() < kLengthBytes + *length) return;
    call->answered = true;
    const std::string request = call->received.substr(kLengthBytes, *length);
    // The answer may end this server.
    const auto answer = answer_;
    const std::weak_ptr<bool> alive = alive_;
    const std::string reply = (*answer)(request);
    if (alive.expired()) return;
    call->stream->Write(WithLength(reply));
    call->stream->Shutdown();
  }

  Loop& loop_;
  std::string path_;
  Descriptor lock_;
  std::shared_ptr<Answer> answer_;  // shared with the call in progress
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::list<Call> calls_;
  std::unique_ptr<Listener> listener_;
};

// The caller's side: one blocking exchange with a deadline.
class LocalCaller {
 public:
  LocalCaller(const std::string& path, std::chrono::milliseconds timeout)
      : path_(path), deadline_(std::chrono::steady_clock::now() + timeout) {}

  Status Connect() {
    FALLOW_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path_));
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) return std::unexpected(os::SystemError("cannot make a socket", errno));
    while (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      // Its queue is full.
      if (errno == EAGAIN) {
        FALLOW_RETURN_IF_ERROR(Wait(0));
      } else if (errno != EINTR) {
        Error error = os::SystemError("nobody serves at " + path_, errno);
        if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) {
          error.code = ErrorCode::kUnavailable;
        }
        return std::unexpected(std::move(error));
      }
    }
    return {};
  }
  ~LocalCaller() {
    if (socket_ >= 0) ::close(socket_);
  }
  LocalCaller(const LocalCaller&) = delete;
  LocalCaller& operator=(const LocalCaller&) = delete;

  Status Write(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(count));
      } else if (errno == EAGAIN) {
        FALLOW_RETURN_IF_ERROR(Wait(POLLOUT));
      } else if (errno != EINTR) {
        return Fail(ErrorCode::kUnavailable, fmt::format("{} refused the call", path_));
      }
    }
    return {};
  }

  Result<std::string> ReadReply() {
    std::string received;
    char buffer[64 << 10];
    while (true) {
      const ssize_t count = ::recv(socket_, buffer, sizeof(buffer), 0);
      if (count > 0) {
        received.append(buffer, static_cast<std::size_t>(count));
      } else if (count == 0 || errno == ECONNRESET) {
        return Fail(ErrorCode::kUnavailable, fmt::format("{} hung up without an answer", path_));
      } else if (errno == EAGAIN) {
        FALLOW_RETURN_IF_ERROR(Wait(POLLIN));
      } else if (errno != EINTR) {
        return std::unexpected(os::SystemError("cannot read from " + path_, errno));
      }
      const auto length = AnnouncedLength(received);
      if (!length) continue;
      if (*length > kMaxReplyBytes) {
        return Fail(ErrorCode::kDataLoss,
                    fmt::format("{} announced a reply of {} bytes, the limit is {}", path_, *length,
                                kMaxReplyBytes));
      }
      if (received.size() >= kLengthBytes + *length) return received.substr(kLengthBytes, *length);
    }
  }

 private:
  // Until the socket is ready for `events`; with none, for a moment.
  Status Wait(short events) {
    constexpr int kMomentMs = 10;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    pollfd descriptor{.fd = events != 0 ? socket_ : -1, .events = events, .revents = 0};
    if (left.count() > 0) {
      const int limit_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30));
      ::poll(&descriptor, 1, events != 0 ? limit_ms : std::min(limit_ms, kMomentMs));
      return {};
    }
    return Fail(ErrorCode::kDeadlineExceeded, fmt::format("{} did not answer in time", path_));
  }

  const std::string& path_;
  std::chrono::steady_clock::time_point deadline_;
  int socket_ = -1;
};

}  // namespace

Result<std::unique_ptr<Listener>> ServeLocalCalls(
    Loop& loop, const std::string& path,
    std::function<std::string(std::string_view request)> answer) {
  FALLOW_RETURN_IF_ERROR(AddressOf(path));
  FALLOW_RETURN_IF_ERROR(
      MakePrivateDirectory(std::filesystem::absolute(path).parent_path().string()));
  FALLOW_ASSIGN_OR_RETURN(Descriptor lock, LockPath(path));
  auto server = std::make_unique<LocalCallServer>(loop, path, std::move(lock), std::move(answer));
  FALLOW_RETURN_IF_ERROR(server->Listen());
  return server;
}

Result<std::string> CallLocal(const std::string& path, std::string_view request,
                              std::chrono::milliseconds timeout) {
  if (request.size() > kMaxRequestBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a local call of {} bytes is longer than the limit of {}",
                            request.size(), kMaxRequestBytes));
  }
  LocalCaller caller(path, timeout);
  FALLOW_RETURN_IF_ERROR(caller.Connect());
  FALLOW_RETURN_IF_ERROR(caller.Write(WithLength(request)));
  return caller.ReadReply();
}

}  // namespace fallow
