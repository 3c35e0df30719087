#include "platform/openssl/tls_stream.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace fallow {
namespace {

constexpr std::string_view kHttp11 = "\x08http/1.1";

// Bounds the second copy of what is being written.
constexpr std::size_t kMaxEncryptedAtOnceBytes = 1 << 20;

int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                   const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* selected = nullptr;
  const int status = SSL_select_next_proto(
      &selected, chosen_size, reinterpret_cast<const unsigned char*>(kHttp11.data()),
      static_cast<unsigned>(kHttp11.size()), offered, offered_size);
  if (status != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = selected;
  return SSL_TLSEXT_ERR_OK;
}

// TLS over a transport, by memory BIOs: bytes in, bytes out, no I/O of its own. The caller's object
// and the transport's callbacks share it, since either may be the last to need it.
class TlsCore : public std::enable_shared_from_this<TlsCore> {
 public:
  TlsCore(Loop& loop, SSL_CTX* context, std::unique_ptr<ByteStream> transport)
      : loop_(loop), transport_(std::move(transport)), session_(SSL_new(context)) {
    FALLOW_CHECK(session_ != nullptr);
    incoming_ = BIO_new(BIO_s_mem());
    outgoing_ = BIO_new(BIO_s_mem());
    FALLOW_CHECK(incoming_ != nullptr && outgoing_ != nullptr);
    SSL_set_bio(session_.get(), incoming_, outgoing_);
    SSL_set_accept_state(session_.get());
  }

  using OnHandshake = std::function<void(Status)>;

  void Start(OnHandshake on_handshake) {
    on_handshake_ = std::move(on_handshake);
    // Weak: the transport owns the handler and this owns the transport.
    const std::weak_ptr<TlsCore> weak = weak_from_this();
    transport_->SetHandler({.on_data =
                                [weak](ByteView bytes) {
                                  if (const auto self = weak.lock()) self->OnTransportData(bytes);
                                },
                            .on_end =
                                [weak](const Status& status) {
                                  if (const auto self = weak.lock()) self->OnTransportEnd(status);
                                },
                            .on_writable =
                                [weak] {
                                  if (const auto self = weak.lock()) self->OnTransportWritable();
                                }});
  }

  void Close() {
    closed_ = true;
    on_handshake_ = nullptr;
    handler_ = nullptr;
    transport_ = nullptr;
  }

  void SetHandler(StreamHandler handler) {
    handler_ = std::make_shared<StreamHandler>(std::move(handler));
    DeliverLater();
  }
  void Write(Bytes bytes);
  void Shutdown();
  void SetPaused(bool paused);
  std::size_t pending_write_bytes() const {
    return transport_ == nullptr ? 0 : transport_->pending_write_bytes();
  }
  std::string peer() const { return transport_ == nullptr ? "unknown" : transport_->peer(); }

 private:
  void OnTransportData(ByteView bytes);
  void OnTransportEnd(const Status& status);
  void OnTransportWritable();
  void ContinueHandshake();
  void EndHandshake(const Status& status);
  void DeliverLater();
  void Deliver();
  void End(const Status& status);
  void SendOutgoing();

  Loop& loop_;
  std::unique_ptr<ByteStream> transport_;
  openssl::Session session_;
  BIO* incoming_;  // owned by session_
  BIO* outgoing_;  // owned by session_
  OnHandshake on_handshake_;
  std::shared_ptr<StreamHandler> handler_;  // shared with the call in progress
  std::optional<Status> transport_end_;
  bool established_ = false;
  bool paused_ = false;
  bool shut_down_ = false;
  bool ended_ = false;
  bool closed_ = false;
};

void TlsCore::SendOutgoing() {
  const std::size_t size = BIO_ctrl_pending(outgoing_);
  if (size == 0 || transport_ == nullptr) return;
  Bytes bytes(size);
  FALLOW_CHECK(BIO_read(outgoing_, bytes.data(), static_cast<int>(size)) == static_cast<int>(size));
  transport_->Write(std::move(bytes));
}

void TlsCore::OnTransportData(ByteView bytes) {
  if (closed_ || ended_) return;
  FALLOW_CHECK(BIO_write(incoming_, bytes.data(), static_cast<int>(bytes.size())) ==
               static_cast<int>(bytes.size()));
  if (established_) return Deliver();
  ContinueHandshake();
}

void TlsCore::OnTransportEnd(const Status& status) {
  if (closed_ || ended_) return;
  transport_end_ = status;
  if (!established_) {
    return EndHandshake(Fail(ErrorCode::kUnavailable, "the peer left during the TLS handshake"));
  }
  // A paused reader that waits for room to write must learn that there will be none.
  if (paused_ && handler_ != nullptr && !status) return End(status);
  Deliver();
}

void TlsCore::OnTransportWritable() {
  if (closed_ || ended_ || !established_) return;
  const auto handler = handler_;
  if (handler != nullptr && handler->on_writable) handler->on_writable();
}

void TlsCore::ContinueHandshake() {
  ERR_clear_error();
  const int result = SSL_accept(session_.get());
  // Alerts too.
  SendOutgoing();
  if (result == 1) {
    established_ = true;
    return EndHandshake(Status());
  }
  if (SSL_get_error(session_.get(), result) == SSL_ERROR_WANT_READ) return;
  Error error = openssl::LastError("TLS handshake failed");
  error.code = ErrorCode::kUnavailable;
  EndHandshake(std::unexpected(std::move(error)));
}

void TlsCore::EndHandshake(const Status& status) {
  if (const auto on_handshake = std::exchange(on_handshake_, nullptr)) on_handshake(status);
}

void TlsCore::DeliverLater() {
  loop_.Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Deliver();
  });
}

void TlsCore::Deliver() {
  const auto keep = shared_from_this();
  thread_local std::array<std::uint8_t, 64 << 10> buffer;
  while (!closed_ && !paused_ && !ended_ && handler_ != nullptr && established_) {
    ERR_clear_error();
    const int count = SSL_read(session_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (count > 0) {
      const auto handler = handler_;
      if (handler->on_data) handler->on_data({buffer.data(), static_cast<std::size_t>(count)});
      continue;
    }
    // Answers to key updates.
    SendOutgoing();
    switch (SSL_get_error(session_.get(), count)) {
      case SSL_ERROR_ZERO_RETURN:
        return End(Status());
      case SSL_ERROR_WANT_READ:
        if (!transport_end_) return;
        if (!transport_end_->has_value()) return End(*transport_end_);
        return End(
            Fail(ErrorCode::kUnavailable, "the peer closed the connection without ending TLS"));
      default:
        return End(Fail(ErrorCode::kUnavailable, openssl::LastError("TLS failed").message));
    }
  }
}

void TlsCore::End(const Status& status) {
  ended_ = true;
  const auto handler = handler_;
  if (handler->on_end) handler->on_end(status);
}

void TlsCore::Write(Bytes bytes) {
  if (shut_down_ || closed_) return;
  for (ByteView rest(bytes); !rest.empty();) {
    const ByteView piece = rest.first(std::min(rest.size(), kMaxEncryptedAtOnceBytes));
    rest = rest.subspan(piece.size());
    ERR_clear_error();
    std::size_t written = 0;
    // A memory BIO takes everything; a failure means that the session broke, which the reading
    // side reports.
    if (SSL_write_ex(session_.get(), piece.data(), piece.size(), &written) != 1) return;
    FALLOW_CHECK(written == piece.size());
    SendOutgoing();
  }
}

void TlsCore::Shutdown() {
  if (std::exchange(shut_down_, true) || closed_) return;
  ERR_clear_error();
  SSL_shutdown(session_.get());
  SendOutgoing();
  transport_->Shutdown();
}

void TlsCore::SetPaused(bool paused) {
  if (closed_ || paused == paused_) return;
  paused_ = paused;
  if (paused) {
    transport_->PauseReading();
  } else {
    transport_->ResumeReading();
    // What was decrypted or received before the pause.
    DeliverLater();
  }
}

class TlsStream : public ByteStream {
 public:
  explicit TlsStream(std::shared_ptr<TlsCore> core) : core_(std::move(core)) {}
  ~TlsStream() override { core_->Close(); }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  void SetHandler(StreamHandler handler) override { core_->SetHandler(std::move(handler)); }
  void Write(Bytes bytes) override { core_->Write(std::move(bytes)); }
  std::size_t pending_write_bytes() const override { return core_->pending_write_bytes(); }
  void Shutdown() override { core_->Shutdown(); }
  void PauseReading() override { core_->SetPaused(true); }
  void ResumeReading() override { core_->SetPaused(false); }
  std::string peer() const override { return core_->peer(); }

 private:
  std::shared_ptr<TlsCore> core_;
};

class ServerHandshake : public TlsHandshake {
 public:
  ServerHandshake(Loop& loop, SSL_CTX* context, std::unique_ptr<ByteStream> transport,
                  std::function<void(Result<std::unique_ptr<ByteStream>>)> on_done)
      : core_(std::make_shared<TlsCore>(loop, context, std::move(transport))) {
    core_->Start([this, done = std::move(on_done)](const Status& status) {
      if (!status) return done(std::unexpected(status.error()));
      done(std::make_unique<TlsStream>(std::exchange(core_, nullptr)));
    });
  }
  ~ServerHandshake() override {
    if (core_ != nullptr) core_->Close();
  }
  ServerHandshake(const ServerHandshake&) = delete;
  ServerHandshake& operator=(const ServerHandshake&) = delete;

 private:
  std::shared_ptr<TlsCore> core_;
};

Status UseChain(SSL_CTX* context, std::string_view pem) {
  const openssl::Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bool leaf = true;
  while (true) {
    const openssl::Certificate certificate(
        PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    const long status = leaf ? SSL_CTX_use_certificate(context, certificate.get())
                             : SSL_CTX_add1_chain_cert(context, certificate.get());
    if (status != 1) return std::unexpected(openssl::LastError("cannot use the certificate"));
    leaf = false;
  }
  openssl::ForgetErrors();
  if (leaf) return Fail(ErrorCode::kInvalidArgument, "the server's certificate is not a PEM text");
  return {};
}

}  // namespace

Result<openssl::Context> MakeServerContext(const CertificateAndKey& server) {
  openssl::Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return std::unexpected(openssl::LastError("cannot set up TLS"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
  // An idle connection holds no record buffers.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  FALLOW_RETURN_IF_ERROR(UseChain(context.get(), server.certificate));
  const openssl::Key key = openssl::ReadPrivateKey(server.private_key);
  if (key == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "the server's private key is not a PEM text");
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    openssl::ForgetErrors();
    return Fail(ErrorCode::kInvalidArgument,
                "the server's private key does not belong to its certificate");
  }
  return context;
}

std::unique_ptr<TlsHandshake> StartTlsHandshake(
    Loop& loop, SSL_CTX* context, std::unique_ptr<ByteStream> transport,
    std::function<void(Result<std::unique_ptr<ByteStream>>)> on_done) {
  return std::make_unique<ServerHandshake>(loop, context, std::move(transport), std::move(on_done));
}

}  // namespace fallow
