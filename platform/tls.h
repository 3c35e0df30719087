// TLS 1.3 for servers, and the certificates a coordinator makes for itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"
#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow {

// PEM texts.
struct CertificateAndKey {
  std::string certificate;
  std::string private_key;
};

// A certificate authority of our own: P-256, `days` valid, may sign only server certificates.
Result<CertificateAndKey> MakeCertificateAuthority(std::string_view common_name, WallTime now,
                                                   int days);
// A server certificate for host names and IP addresses.
Result<CertificateAndKey> MakeServerCertificate(const CertificateAndKey& authority,
                                                const std::vector<std::string>& hosts, WallTime now,
                                                int days);
// SHA-256 of a PEM certificate's DER form: the pin that a join link carries.
Result<Digest> CertificatePin(std::string_view certificate_pem);
// When a PEM certificate stops being valid.
Result<WallTime> CertificateExpiry(std::string_view certificate_pem);

struct TlsListenOptions {
  std::string address = "127.0.0.1";   // IPv4 or IPv6 address
  std::uint16_t port = 0;              // 0: any free port
  CertificateAndKey server;            // `certificate` may be a chain, leaf first
  std::size_t max_connections = 4096;  // more are closed at once
};

// Accepts TLS 1.3 connections on `loop`, which must be the uv loop. A failed or slow (10 s)
// handshake costs only its own connection. `on_connection` gets each established stream.
Result<std::unique_ptr<Listener>> ListenTls(
    Loop& loop, const TlsListenOptions& options,
    std::function<void(std::unique_ptr<ByteStream>)> on_connection);

}  // namespace fallow
