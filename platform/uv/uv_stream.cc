#include "platform/uv/uv_stream.h"

#include <fmt/format.h>

#include <array>
#include <deque>
#include <utility>

#include "base/check.h"
#include "platform/uv/uv_loop.h"

namespace fallow {
namespace {

constexpr int kBacklog = 512;
// libuv hands on whoever waits before it looks at anything else: without an end, callers who keep
// coming would keep the loop from its timers and its other streams.
constexpr int kMaxAcceptedInTurn = 32;
constexpr unsigned kKeepAliveAfterSeconds = 60;  // finds peers that vanished without a word

union AnyStream {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
};

enum class Kind { kTcp, kUnix };

void Initialise(uv_loop_t* loop, Kind kind, AnyStream& any) {
  const int status =
      kind == Kind::kTcp ? uv_tcp_init(loop, &any.tcp) : uv_pipe_init(loop, &any.pipe, 0);
  FALLOW_CHECK(status == 0);
}

std::string PeerName(const uv_tcp_t* tcp) {
  sockaddr_storage address{};
  int size = sizeof(address);
  if (uv_tcp_getpeername(tcp, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
  std::array<char, 64> text{};
  if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    uv_ip6_name(v6, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
  uv_ip4_name(v4, text.data(), text.size());
  return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
}

struct WriteRequest;

// What libuv holds of a stream. It outlives the ByteStream until libuv lets go of the handle.
class Connection {
 public:
  Connection(uv_loop_t* loop, Kind kind) {
    Initialise(loop, kind, any_);
    any_.handle.data = this;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  AnyStream& any() { return any_; }
  std::size_t pending_write_bytes() const { return pending_write_bytes_; }

  void SetHandler(StreamHandler handler) {
    handler_ = std::make_shared<StreamHandler>(std::move(handler));
    UpdateReading();
  }
  void SetPaused(bool paused) {
    paused_ = paused;
    UpdateReading();
  }
  void Write(Bytes bytes);
  void Shutdown();
  // The owner has gone.
  void Close() {
    closing_ = true;
    handler_ = nullptr;
    uv_close(&any_.handle,
             [](uv_handle_t* handle) { delete static_cast<Connection*>(handle->data); });
  }

 private:
  static Connection& Of(const uv_stream_t* stream) {
    return *static_cast<Connection*>(stream->data);
  }
  void UpdateReading();
  void OnRead(ssize_t count, const char* bytes);
  void OnWritten(std::size_t bytes, int status);
  void End(const Status& status);

  AnyStream any_{};
  uv_shutdown_t shutdown_{};
  std::shared_ptr<StreamHandler>
      handler_;  // shared with the call in progress, which may replace it
  std::size_t pending_write_bytes_ = 0;
  bool reached_high_water_ = false;
  bool reading_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool shut_down_ = false;
  bool closing_ = false;
};

struct WriteRequest {
  uv_write_t request{};
  Connection* connection = nullptr;
  Bytes bytes;
};

// One buffer serves all streams of a thread: what is read is handed on before the next read.
std::array<char, 64 << 10>& ReadBuffer() {
  thread_local std::array<char, 64 << 10> buffer;
  return buffer;
}

void Connection::UpdateReading() {
  const bool wanted = handler_ != nullptr && !paused_ && !ended_ && !closing_;
  if (wanted == reading_) return;
  reading_ = wanted;
  if (!wanted) {
    uv_read_stop(&any_.stream);
    return;
  }
  const auto allocate = [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    *buffer = uv_buf_init(ReadBuffer().data(), static_cast<unsigned>(ReadBuffer().size()));
  };
  const auto on_read = [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    Of(stream).OnRead(count, buffer->base);
  };
  // It fails only on a handle that is closing or was never connected.
  FALLOW_CHECK(uv_read_start(&any_.stream, allocate, on_read) == 0);
}

void Connection::OnRead(ssize_t count, const char* bytes) {
  if (count == 0 || closing_ || ended_) return;
  if (count == UV_EOF) {
    End(Status());
  } else if (count < 0) {
    End(std::unexpected(UvError("the connection broke", static_cast<int>(count))));
  } else if (const auto handler = handler_; handler->on_data) {
    handler->on_data(AsBytes({bytes, static_cast<std::size_t>(count)}));
  }
}

void Connection::End(const Status& status) {
  ended_ = true;
  UpdateReading();
  const auto handler = handler_;
  if (handler != nullptr && handler->on_end) handler->on_end(status);
}

void Connection::Write(Bytes bytes) {
  if (bytes.empty() || shut_down_ || closing_) return;
  pending_write_bytes_ += bytes.size();
  if (pending_write_bytes_ >= kStreamHighWaterBytes) reached_high_water_ = true;
  auto* write = new WriteRequest{.connection = this, .bytes = std::move(bytes)};
  write->request.data = write;
  const uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(write->bytes.data()),
                                      static_cast<unsigned>(write->bytes.size()));
  const int status =
      uv_write(&write->request, &any_.stream, &buffer, 1, [](uv_write_t* request, int result) {
        const std::unique_ptr<WriteRequest> ended(static_cast<WriteRequest*>(request->data));
        ended->connection->OnWritten(ended->bytes.size(), result);
      });
  if (status != 0) {
    // The peer has gone; the reading side learns why.
    pending_write_bytes_ -= write->bytes.size();
    delete write;
  }
}

void Connection::OnWritten(std::size_t bytes, int status) {
  pending_write_bytes_ -= bytes;
  if (closing_ || ended_) return;
  // A reader who is paused would otherwise never learn of the break.
  if (status != 0) return End(std::unexpected(UvError("the connection broke", status)));
  if (!reached_high_water_ || pending_write_bytes_ >= kStreamHighWaterBytes / 2) return;
  reached_high_water_ = false;
  const auto handler = handler_;
  if (handler != nullptr && handler->on_writable) handler->on_writable();
}

void Connection::Shutdown() {
  if (std::exchange(shut_down_, true) || closing_) return;
  // A failure means that the connection broke, which the reading side reports.
  uv_shutdown(&shutdown_, &any_.stream, [](uv_shutdown_t*, int) {});
}

class UvByteStream : public ByteStream {
 public:
  UvByteStream(Connection* connection, std::string peer)
      : connection_(connection), peer_(std::move(peer)) {}
  ~UvByteStream() override { connection_->Close(); }
  UvByteStream(const UvByteStream&) = delete;
  UvByteStream& operator=(const UvByteStream&) = delete;

  void SetHandler(StreamHandler handler) override { connection_->SetHandler(std::move(handler)); }
  void Write(Bytes bytes) override { connection_->Write(std::move(bytes)); }
  std::size_t pending_write_bytes() const override { return connection_->pending_write_bytes(); }
  void Shutdown() override { connection_->Shutdown(); }
  void PauseReading() override { connection_->SetPaused(true); }
  void ResumeReading() override { connection_->SetPaused(false); }
  std::string peer() const override { return peer_; }

 private:
  Connection* connection_;
  std::string peer_;
};

// A listening handle, which outlives the Listener until libuv lets go of it.
struct Acceptor {
  AnyStream any{};
  Loop& loop;
  Kind kind;
  std::function<bool(int)> admit;
  std::function<void(std::unique_ptr<ByteStream>)> on_connection;
  bool closing = false;
  std::uint64_t turn = 0;  // the loop's time, which stands still within a turn
  int accepted_in_turn = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  Acceptor(Loop& the_loop, Kind the_kind) : loop(the_loop), kind(the_kind) {
    Initialise(UvLoop::Of(loop), kind, any);
    any.handle.data = this;
  }
  void Close() {
    closing = true;
    uv_close(&any.handle, [](uv_handle_t* handle) { delete static_cast<Acceptor*>(handle->data); });
  }
  int Listen() {
    return uv_listen(&any.stream, kBacklog, [](uv_stream_t* server, int status) {
      if (status == 0) static_cast<Acceptor*>(server->data)->OnConnection();
    });
  }
  void OnConnection();
  void Accept();
};

void Acceptor::OnConnection() {
  if (const std::uint64_t now = uv_now(any.handle.loop); now != turn) {
    turn = now;
    accepted_in_turn = 0;
  }
  if (accepted_in_turn < kMaxAcceptedInTurn) {
    ++accepted_in_turn;
    return Accept();
  }
  // libuv brings no other before this one is taken.
  loop.Post([this, is_there = std::weak_ptr(alive)] {
    if (is_there.expired() || closing) return;
    accepted_in_turn = 1;
    Accept();
  });
}

void Acceptor::Accept() {
  auto* connection = new Connection(any.handle.loop, kind);
  AnyStream& accepted = connection->any();
  if (uv_accept(&any.stream, &accepted.stream) != 0) return connection->Close();
  std::string peer = "local";
  if (kind == Kind::kTcp) {
    uv_tcp_nodelay(&accepted.tcp, 1);
    uv_tcp_keepalive(&accepted.tcp, 1, kKeepAliveAfterSeconds);
    peer = PeerName(&accepted.tcp);
  }
  uv_os_fd_t descriptor = -1;
  if (admit && (uv_fileno(&accepted.handle, &descriptor) != 0 || !admit(descriptor))) {
    return connection->Close();
  }
  on_connection(std::make_unique<UvByteStream>(connection, std::move(peer)));
}

class UvListener : public Listener {
 public:
  UvListener(Acceptor* acceptor, std::uint16_t port) : acceptor_(acceptor), port_(port) {}
  ~UvListener() override { acceptor_->Close(); }
  UvListener(const UvListener&) = delete;
  UvListener& operator=(const UvListener&) = delete;
  std::uint16_t port() const override { return port_; }

 private:
  Acceptor* acceptor_;
  std::uint16_t port_;
};

Result<sockaddr_storage> ParseAddress(const std::string& address, std::uint16_t port) {
  sockaddr_storage storage{};
  if (uv_ip4_addr(address.c_str(), port, reinterpret_cast<sockaddr_in*>(&storage)) == 0 ||
      uv_ip6_addr(address.c_str(), port, reinterpret_cast<sockaddr_in6*>(&storage)) == 0) {
    return storage;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is not an IPv4 or IPv6 address to listen at", address));
}

std::uint16_t PortOf(const uv_tcp_t* tcp) {
  sockaddr_storage address{};
  int size = sizeof(address);
  FALLOW_CHECK(uv_tcp_getsockname(tcp, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return address.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port)
             : ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace

Result<std::unique_ptr<Listener>> ListenTcp(
    Loop& loop, const std::string& address, std::uint16_t port,
    std::function<void(std::unique_ptr<ByteStream>)> on_connection) {
  FALLOW_ASSIGN_OR_RETURN(const sockaddr_storage parsed, ParseAddress(address, port));
  auto* acceptor = new Acceptor(loop, Kind::kTcp);
  acceptor->on_connection = std::move(on_connection);
  int status = uv_tcp_bind(&acceptor->any.tcp, reinterpret_cast<const sockaddr*>(&parsed), 0);
  if (status == 0) status = acceptor->Listen();
  if (status != 0) {
    acceptor->Close();
    return std::unexpected(
        UvError(fmt::format("cannot listen at {} port {}", address, port), status));
  }
  return std::make_unique<UvListener>(acceptor, PortOf(&acceptor->any.tcp));
}

Result<std::unique_ptr<Listener>> ListenUnix(
    Loop& loop, int listening_socket, std::function<bool(int descriptor)> admit,
    std::function<void(std::unique_ptr<ByteStream>)> on_connection) {
  auto* acceptor = new Acceptor(loop, Kind::kUnix);
  acceptor->admit = std::move(admit);
  acceptor->on_connection = std::move(on_connection);
  int status = uv_pipe_open(&acceptor->any.pipe, listening_socket);
  if (status == 0) status = acceptor->Listen();
  if (status != 0) {
    acceptor->Close();
    return std::unexpected(UvError("cannot listen at the local socket", status));
  }
  return std::make_unique<UvListener>(acceptor, 0);
}

std::unique_ptr<ByteStream> OpenUnixStream(Loop& loop, int socket) {
  auto* connection = new Connection(UvLoop::Of(loop), Kind::kUnix);
  // It fails only on what is no socket.
  FALLOW_CHECK(uv_pipe_open(&connection->any().pipe, socket) == 0);
  return std::make_unique<UvByteStream>(connection, "local");
}

}  // namespace fallow
