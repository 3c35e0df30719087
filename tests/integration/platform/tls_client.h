// A blocking TLS client on OpenSSL, for another thread than the loop's. It trusts what the test
// says.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace fallow::testing {

// A TCP connection to this machine; reads and writes give up after 60 s.
inline int ConnectTcp(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval limit{.tv_sec = 60, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(socket);
    return -1;
  }
  return socket;
}

struct TlsClientOptions {
  std::string authority;  // PEM
  int max_version = TLS1_3_VERSION;
  std::string_view protocols = "\x08http/1.1";  // as on the wire
  std::string host = "127.0.0.1";
};

class TlsClient {
 public:
  TlsClient(std::uint16_t port, const TlsClientOptions& options) : socket_(ConnectTcp(port)) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context_, options.max_version);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    BIO* pem =
        BIO_new_mem_buf(options.authority.data(), static_cast<int>(options.authority.size()));
    if (X509* authority = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr)) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), authority);
      X509_free(authority);
    }
    BIO_free(pem);
    session_ = SSL_new(context_);
    SSL_set_fd(session_, socket_);
    if (!options.protocols.empty()) {
      SSL_set_alpn_protos(session_,
                          reinterpret_cast<const unsigned char*>(options.protocols.data()),
                          static_cast<unsigned>(options.protocols.size()));
    }
    X509_VERIFY_PARAM* rules = SSL_get0_param(session_);
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, options.host.c_str()) != 1) {
      ERR_clear_error();
      X509_VERIFY_PARAM_set1_host(rules, options.host.c_str(), 0);
    }
    connected_ = SSL_connect(session_) == 1;
    verify_result_ = SSL_get_verify_result(session_);
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(session_, &chosen, &size);
    protocol_.assign(reinterpret_cast<const char*>(chosen), size);
  }
  ~TlsClient() {
    SSL_free(session_);
    SSL_CTX_free(context_);
    close(socket_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  long verify_result() const { return verify_result_; }
  const std::string& protocol() const { return protocol_; }
  std::string version() const { return SSL_get_version(session_); }
  SSL* session() { return session_; }

  bool Write(std::string_view text) {
    std::size_t written = 0;
    return SSL_write_ex(session_, text.data(), text.size(), &written) == 1;
  }
  // Empty at the end of the peer's data or on an error.
  std::string Read(std::size_t at_most = 64 << 10) {
    std::string text(at_most, '\0');
    std::size_t count = 0;
    if (SSL_read_ex(session_, text.data(), text.size(), &count) != 1) return {};
    text.resize(count);
    return text;
  }
  bool EndedCleanly() { return (SSL_get_shutdown(session_) & SSL_RECEIVED_SHUTDOWN) != 0; }
  void End() { SSL_shutdown(session_); }

 private:
  int socket_;
  SSL_CTX* context_;
  SSL* session_;
  bool connected_ = false;
  long verify_result_ = 0;
  std::string protocol_;
};

}  // namespace fallow::testing
