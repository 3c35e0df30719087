// A small HTTPS server for the HTTP client's tests: reads a whole request, asks the test for the
// answer's bytes.
#pragma once

#include <charconv>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "platform/system.h"
#include "platform/tls.h"

namespace fallow::testing {

struct SmallRequest {
  std::string head;  // request line and headers
  std::string body;  // not decoded
};

inline CertificateAndKey MakeTestAuthority(const std::string& name = "test authority") {
  return MakeCertificateAuthority(name, NewSystemClock()->Wall(), 30).value();
}

class SmallHttpsServer {
 public:
  // Returns the bytes to send; empty: nothing, the connection stays silent.
  using Answer = std::function<std::string(const SmallRequest&)>;

  SmallHttpsServer(Loop& loop, const CertificateAndKey& authority, Answer answer,
                   std::vector<std::string> hosts = {"127.0.0.1", "localhost"})
      : answer_(std::move(answer)) {
    TlsListenOptions options;
    options.server = MakeServerCertificate(authority, hosts, NewSystemClock()->Wall(), 7).value();
    listener_ = ListenTls(loop, options, [this](std::unique_ptr<ByteStream> stream) {
                  Accept(std::move(stream));
                }).value();
  }

  std::string Url(const std::string& path) const {
    return "https://127.0.0.1:" + std::to_string(listener_->port()) + path;
  }
  std::uint16_t port() const { return listener_->port(); }
  int connections() const { return connections_; }
  void CloseConnections() { open_.clear(); }

 private:
  struct Open {
    std::unique_ptr<ByteStream> stream;
    std::string received;
  };

  void Accept(std::unique_ptr<ByteStream> stream) {
    const int id = connections_++;
    Open& open = open_[id];
    open.stream = std::move(stream);
    open.stream->SetHandler({.on_data =
                                 [this, id](ByteView bytes) {
                                   open_[id].received += AsText(bytes);
                                   AnswerWhole(open_[id]);
                                 },
                             .on_end = [this, id](const Status&) { open_.erase(id); },
                             .on_writable = nullptr});
  }

  void AnswerWhole(Open& open) {
    const auto head_end = open.received.find("\r\n\r\n");
    if (head_end == std::string::npos) return;
    const std::string head = open.received.substr(0, head_end + 2);
    std::size_t size = 0;
    if (const auto at = head.find("Content-Length: "); at != std::string::npos) {
      std::from_chars(head.data() + at + 16, head.data() + head.size(), size);
    }
    if (open.received.size() < head_end + 4 + size) return;
    const SmallRequest request{head, open.received.substr(head_end + 4, size)};
    open.received.erase(0, head_end + 4 + size);
    const std::string reply = answer_(request);
    open.stream->Write(Bytes(AsBytes(reply).begin(), AsBytes(reply).end()));
  }

  Answer answer_;
  std::map<int, Open> open_;
  int connections_ = 0;
  std::unique_ptr<Listener> listener_;
};

inline std::string SmallReply(int status, const std::string& body,
                              const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace fallow::testing
