// A RequestParser cuts the bytes of one HTTP/1.1 request into head, body pieces and end. Pull
// style, no I/O.
//
// The grammar is Boost.Beast's; on top come the rules against request smuggling: one Content-Length
// of digits or one `Transfer-Encoding: chunked`, never both; one Host. After kBad the connection
// cannot be used further.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/http/server.h"

namespace fallow::http {

class RequestParser {
 public:
  enum class Kind {
    kNeedMore,  // nothing more to be had from this input
    kHead,      // head() is complete; once
    kBody,      // `body` points into the input
    kEnd,       // the request is complete; what follows in the input belongs to the next
    kBad,       // refuse with `status` and `message`
  };
  struct Step {
    Kind kind = Kind::kNeedMore;
    std::size_t consumed = 0;  // bytes of the input that must not be given again
    std::string_view body;
    int status = 0;
    std::string message;
  };

  explicit RequestParser(std::size_t max_head_bytes);
  ~RequestParser();

  // `input`: everything received and not yet consumed.
  Step Next(std::string_view input);

  const RequestHead& head() const;
  bool keep_alive() const;
  bool http_1_1() const;
  bool expects_continue() const;
  bool has_body() const;
  std::optional<std::uint64_t> content_length() const;  // none if chunked

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::http
