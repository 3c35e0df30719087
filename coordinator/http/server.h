// An HTTP/1.1 server on the loop: requests in, replies out, both streamed with back-pressure.
//
// The codec is Boost.Beast's; the streams are platform/tls.h's. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow::http {

struct RequestHead {
  std::string method;  // upper case
  std::string path;    // as sent, still percent-encoded; starts with '/'
  std::string query;   // without '?'
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string peer;

  std::string_view Header(std::string_view lower_case_name) const;  // empty if absent
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// Where a handler puts its reply; exactly one of Send and Start. Safe to use after the reply is
// complete or the client has gone: it then does nothing and `gone()` is true. Shared because a
// reply may come long after the request (long polls). Letting go of it without a reply answers 500;
// letting go before End cuts the connection.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void Send(Response response) = 0;
  // A streamed body: chunked, or of `content_length` bytes when given. Write until End. A reply to
  // HEAD is complete with its head, and gone() then.
  virtual void Start(int status, std::vector<std::pair<std::string, std::string>> headers,
                     std::optional<std::uint64_t> content_length) = 0;
  virtual void Write(ByteView bytes) = 0;
  virtual void End() = 0;
  virtual bool slow() const = 0;  // stop writing until on_writable
  virtual bool gone() const = 0;
  virtual void OnWritable(
      std::function<void()> fn) = 0;  // called each time the client has caught up
  virtual void OnGone(
      std::function<void()> fn) = 0;  // called once if the client leaves before the end
};

// Takes a request's body. Destroyed after OnEnd, or without it when the client goes away.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual void OnData(ByteView bytes) = 0;
  virtual void OnEnd() = 0;
};

// A route decides at the head: it may reply at once (the body is then read and dropped) and return
// null.
using Handler =
    std::function<std::unique_ptr<BodySink>(const RequestHead&, std::shared_ptr<Responder>)>;

struct ServerLimits {
  std::size_t head_bytes = 32 << 10;
  std::uint64_t body_bytes = 16ull << 30;  // a model file; routes have their own, smaller ones
  std::chrono::milliseconds head_timeout{10'000};
  std::chrono::milliseconds idle_timeout{75'000};  // between requests and while nothing moves
};

// Serves one connection until it ends; `on_closed` is called once, later, and may destroy the
// connection.
class Connection {
 public:
  virtual ~Connection() = default;
};
std::unique_ptr<Connection> ServeConnection(Loop& loop, std::unique_ptr<ByteStream> stream,
                                            Handler handler, const ServerLimits& limits,
                                            std::function<void()> on_closed);

// A sink that collects at most `max_bytes` and then calls `fn`; above it replies 413 by itself.
std::unique_ptr<BodySink> CollectBody(std::size_t max_bytes, std::shared_ptr<Responder> responder,
                                      std::function<void(std::string body)> fn);

}  // namespace fallow::http
