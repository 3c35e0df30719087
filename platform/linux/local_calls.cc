// Local calls over a Unix socket: four bytes of length, then the text, each way.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "platform/linux/unix_socket.h"
#include "platform/local_socket.h"
#include "platform/os.h"

namespace fallow {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kMaxReplyBytes = 16 << 20;
constexpr std::size_t kMaxOpenCalls = 32;
constexpr std::size_t kMaxCountedUsers = 64;
constexpr std::chrono::seconds kCountWindow{10};
// A caller who is slower than this blocks a place for others.
constexpr std::chrono::milliseconds kCallTimeout{5'000};

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

class LocalCallServer : public Listener {
 public:
  LocalCallServer(Loop& loop, LocalCallService service)
      : loop_(loop), service_(std::make_shared<LocalCallService>(std::move(service))) {}

  Status Listen(const std::string& path, LocalCallers callers) {
    FALLOW_ASSIGN_OR_RETURN(listener_,
                            ListenLocal(loop_, path, callers,
                                        [this](std::unique_ptr<ByteStream> stream, LocalPeer peer) {
                                          Accept(std::move(stream), peer);
                                        }));
    return {};
  }
  std::uint16_t port() const override { return 0; }

 private:
  // Whose places a call takes: a user's by its number, or one of these.
  static constexpr std::int64_t kOurs = -1, kUnknown = -2;
  struct Call {
    LocalPeer caller;
    std::int64_t holder = kOurs;
    std::unique_ptr<ByteStream> stream;
    std::unique_ptr<Timer> timeout;
    std::string received;
    bool answered = false;
  };
  using Place = std::list<Call>::iterator;
  // A holder's calls in the window that began with the first of them.
  struct Count {
    std::int64_t holder = kOurs;
    std::chrono::steady_clock::time_point since;
    std::size_t calls = 0;
  };

  std::int64_t HolderOf(const LocalPeer& caller) const {
    if (caller.is_ours) return kOurs;
    return !service_->is_known || service_->is_known(caller) ? caller.user_id : kUnknown;
  }
  bool HasRoomFor(std::int64_t holder) {
    if (calls_.size() >= kMaxOpenCalls) return false;
    if (holder == kOurs) return true;
    const auto open = std::ranges::count(calls_, holder, &Call::holder);
    return static_cast<std::size_t>(open) < kMaxOpenCallsOfUser && CountCall(holder);
  }
  // False if it is one too many.
  bool CountCall(std::int64_t holder) {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(counts_, [&](const Count& one) { return now - one.since >= kCountWindow; });
    auto at = std::ranges::find(counts_, holder, &Count::holder);
    if (at == counts_.end()) {
      if (counts_.size() >= kMaxCountedUsers) return false;
      at = counts_.insert(at, {.holder = holder, .since = now});
    }
    return ++at->calls <= kMaxCallsOfUserPer10S;
  }

  void Accept(std::unique_ptr<ByteStream> stream, const LocalPeer& caller) {
    const std::int64_t holder = HolderOf(caller);
    if (!HasRoomFor(holder)) return;
    const Place call = calls_.emplace(calls_.end());
    call->caller = caller;
    call->holder = holder;
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
    if (*length > kMaxLocalRequestBytes) {
      calls_.erase(call);
      return;
    }
    if (call->received.size() < kLengthBytes + *length) return;
    call->answered = true;
    const std::string request = call->received.substr(kLengthBytes, *length);
    // The answer may end this server.
    const auto service = service_;
    const LocalPeer caller = call->caller;
    const std::weak_ptr<bool> alive = alive_;
    const std::string reply = service->answer(request, caller);
    if (alive.expired()) return;
    call->stream->Write(WithLength(reply));
    call->stream->Shutdown();
  }

  Loop& loop_;
  std::shared_ptr<LocalCallService> service_;  // shared with the call in progress
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::list<Call> calls_;
  std::vector<Count> counts_;
  std::unique_ptr<Listener> listener_;
};

// The caller's side: one blocking exchange with a deadline.
class LocalCaller {
 public:
  LocalCaller(const std::string& path, std::chrono::milliseconds timeout)
      : path_(path), deadline_(std::chrono::steady_clock::now() + timeout) {}

  Status Connect() {
    while (true) {
      auto socket = ConnectUnixSocket(path_);
      if (socket) {
        socket_ = socket->Release();
        return {};
      }
      if (socket.error().code != ErrorCode::kResourceExhausted) {
        return std::unexpected(std::move(socket).error());
      }
      FALLOW_RETURN_IF_ERROR(Wait(0));
    }
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
        return HungUp();
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
        return HungUp();
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
  std::unexpected<Error> HungUp() const {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} hung up without an answer: it is ending, has too many callers, or "
                            "is another user's",
                            path_));
  }

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

Result<std::unique_ptr<Listener>> ServeLocalCalls(Loop& loop, const std::string& path,
                                                  LocalCallers callers, LocalCallService service) {
  auto server = std::make_unique<LocalCallServer>(loop, std::move(service));
  FALLOW_RETURN_IF_ERROR(server->Listen(path, callers));
  return server;
}

Result<std::string> CallLocal(const std::string& path, std::string_view request,
                              std::chrono::milliseconds timeout) {
  if (request.size() > kMaxLocalRequestBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a local call of {} bytes is longer than the limit of {}",
                            request.size(), kMaxLocalRequestBytes));
  }
  LocalCaller caller(path, timeout);
  FALLOW_RETURN_IF_ERROR(caller.Connect());
  FALLOW_RETURN_IF_ERROR(caller.Write(WithLength(request)));
  return caller.ReadReply();
}

}  // namespace fallow
