// An HTTP(S) client on the loop, by libcurl.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  Bytes body;
  // Sends a file as the body instead (streamed, with Content-Length). With `multipart_fields` it
  // becomes the part "file" of a multipart/form-data body.
  std::optional<std::string> body_file;
  // Sends these one after the other as the body instead (with Content-Length): a body larger than
  // memory, of mapped files. They must outlive the exchange.
  std::vector<ByteView> body_pieces;
  std::vector<std::pair<std::string, std::string>> multipart_fields;
  std::chrono::milliseconds timeout{
      60'000};  // for the whole exchange; 0: none (streams, downloads)
  std::chrono::milliseconds stall_timeout{60'000};  // no byte either way for so long
  std::size_t max_body_bytes = 64 << 20;            // of a reply that is not streamed
  std::uint64_t max_receive_bytes_s = 0;            // on average; 0: no limit
  std::uint64_t max_send_bytes_s = 0;
  // Set: the body of a 2xx reply goes here piece by piece instead of into HttpReply::body; false
  // ends the exchange.
  std::function<bool(ByteView)> on_body;
  std::function<void(std::uint64_t sent, std::uint64_t total)> on_upload_progress;
};

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  Bytes body;
};

// Destroying it cancels: the callback will not be called.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // `done` is called once, later: with a reply of any status, or an error when there was none
  // (kUnavailable: no connection; kDeadlineExceeded; kPermissionDenied: the server's certificate is
  // not the one we trust).
  [[nodiscard]] virtual std::unique_ptr<HttpExchange> Send(
      HttpRequest request, std::function<void(Result<HttpReply>)> done) = 0;
};

struct HttpClientOptions {
  // Trust exactly this authority (PEM) instead of the system's. Host names are checked as always.
  std::optional<std::string> authority_pem;
  // Trust anybody: for fetching an authority certificate that is then checked against its pin, and
  // for nothing else.
  bool trust_anybody = false;
  std::string user_agent = "fallow";
};

std::unique_ptr<HttpClient> NewHttpClient(Loop& loop, const HttpClientOptions& options);

}  // namespace fallow
