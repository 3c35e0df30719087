#include <list>
#include <memory>
#include <utility>

#include "base/log.h"
#include "platform/openssl/tls_stream.h"
#include "platform/tls.h"
#include "platform/uv/uv_stream.h"

namespace fallow {
namespace {

constexpr std::chrono::milliseconds kHandshakeTimeout{10'000};

// Counts itself out when the connection it belongs to ends. Shared with the listener, which may end
// first.
class ConnectionSlot {
 public:
  explicit ConnectionSlot(std::shared_ptr<std::size_t> count) : count_(std::move(count)) {
    ++*count_;
  }
  ~ConnectionSlot() { --*count_; }
  ConnectionSlot(const ConnectionSlot&) = delete;
  ConnectionSlot& operator=(const ConnectionSlot&) = delete;

 private:
  std::shared_ptr<std::size_t> count_;
};

// A stream that holds a connection's slot as long as it lives.
class SlottedStream : public ByteStream {
 public:
  SlottedStream(std::unique_ptr<ByteStream> stream, std::unique_ptr<ConnectionSlot> slot)
      : slot_(std::move(slot)), stream_(std::move(stream)) {}

  void SetHandler(StreamHandler handler) override { stream_->SetHandler(std::move(handler)); }
  void Write(Bytes bytes) override { stream_->Write(std::move(bytes)); }
  std::size_t pending_write_bytes() const override { return stream_->pending_write_bytes(); }
  void Shutdown() override { stream_->Shutdown(); }
  void PauseReading() override { stream_->PauseReading(); }
  void ResumeReading() override { stream_->ResumeReading(); }
  std::string peer() const override { return stream_->peer(); }

 private:
  std::unique_ptr<ConnectionSlot> slot_;
  std::unique_ptr<ByteStream> stream_;
};

class TlsListener : public Listener {
 public:
  TlsListener(Loop& loop, openssl::Context context, std::size_t max_connections,
              std::function<void(std::unique_ptr<ByteStream>)> on_connection)
      : loop_(loop),
        context_(std::move(context)),
        max_connections_(max_connections),
        on_connection_(std::move(on_connection)) {}

  Status Listen(const std::string& address, std::uint16_t port) {
    FALLOW_ASSIGN_OR_RETURN(
        listener_, ListenTcp(loop_, address, port, [this](std::unique_ptr<ByteStream> transport) {
          OnTransport(std::move(transport));
        }));
    return {};
  }
  std::uint16_t port() const override { return listener_->port(); }

 private:
  struct Pending {
    std::unique_ptr<ConnectionSlot> slot;
    std::unique_ptr<TlsHandshake> handshake;
    std::unique_ptr<Timer> timeout;
  };
  using Place = std::list<Pending>::iterator;

  void OnTransport(std::unique_ptr<ByteStream> transport) {
    if (*connection_count_ >= max_connections_) {
      LOG_WARN("tls: refused a connection peer={} limit={}", transport->peer(), max_connections_);
      return;
    }
    const std::string peer = transport->peer();
    const Place place = pending_.emplace(pending_.end());
    place->slot = std::make_unique<ConnectionSlot>(connection_count_);
    place->timeout = loop_.After(kHandshakeTimeout, [this, place, peer] {
      LOG_DEBUG("tls: handshake took too long peer={}", peer);
      pending_.erase(place);
    });
    place->handshake = StartTlsHandshake(
        loop_, context_.get(), std::move(transport),
        [this, place, peer](auto result) { OnHandshake(place, peer, std::move(result)); });
  }

  void OnHandshake(Place place, const std::string& peer,
                   Result<std::unique_ptr<ByteStream>> result) {
    // The handshake calls us: it goes after we return.
    auto ended = std::make_shared<Pending>(std::move(*place));
    pending_.erase(place);
    loop_.Post([ended] {});
    if (!result) {
      LOG_DEBUG("tls: handshake failed peer={} reason='{}'", peer, result.error().message);
      return;
    }
    // A copy: it may destroy this listener.
    const auto on_connection = on_connection_;
    on_connection(std::make_unique<SlottedStream>(*std::move(result), std::move(ended->slot)));
  }

  Loop& loop_;
  openssl::Context context_;
  std::size_t max_connections_;
  std::function<void(std::unique_ptr<ByteStream>)> on_connection_;
  std::shared_ptr<std::size_t> connection_count_ = std::make_shared<std::size_t>(0);
  std::list<Pending> pending_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace

Result<std::unique_ptr<Listener>> ListenTls(
    Loop& loop, const TlsListenOptions& options,
    std::function<void(std::unique_ptr<ByteStream>)> on_connection) {
  FALLOW_ASSIGN_OR_RETURN(openssl::Context context, MakeServerContext(options.server));
  auto listener = std::make_unique<TlsListener>(loop, std::move(context), options.max_connections,
                                                std::move(on_connection));
  FALLOW_RETURN_IF_ERROR(listener->Listen(options.address, options.port));
  return listener;
}

}  // namespace fallow
