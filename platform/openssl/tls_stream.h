// The server side of TLS 1.3 on top of any byte stream. For files of platform/ alone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/loop.h"
#include "platform/openssl/handles.h"
#include "platform/stream.h"
#include "platform/tls.h"

namespace fallow {

// TLS 1.3 alone, ALPN "http/1.1" for those who ask. kInvalidArgument if certificate and key do not
// fit.
Result<openssl::Context> MakeServerContext(const CertificateAndKey& server);

// Starts a handshake as the server on `transport`. Lives until the handshake has ended, well or
// not, or until it is destroyed. `on_done` is called once from the loop, with the established
// stream; it may destroy the handshake.
class TlsHandshake {
 public:
  virtual ~TlsHandshake() = default;
};
std::unique_ptr<TlsHandshake> StartTlsHandshake(
    Loop& loop, SSL_CTX* context, std::unique_ptr<ByteStream> transport,
    std::function<void(Result<std::unique_ptr<ByteStream>>)> on_done);

}  // namespace fallow
