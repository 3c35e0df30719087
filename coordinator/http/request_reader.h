// A RequestReader cuts a connection's bytes into requests, one after another. Bytes in, no I/O.
//
// It keeps what came too early, and skips the empty lines between requests (RFC 9112, 2.2).
// Threading: none of its own.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "coordinator/http/request_parser.h"

namespace fallow::http {

class RequestReader {
 public:
  explicit RequestReader(std::size_t max_head_bytes) : max_head_bytes_(max_head_bytes) {}

  void Append(ByteView bytes) { input_.append(AsText(bytes)); }
  // What comes next of the request that is being read. A piece of a body is valid until Append or
  // Compact. After kEnd there is nothing more until NextRequest; after kBad never.
  RequestParser::Step Next();
  // What follows belongs to another request.
  void NextRequest() { parser_ = nullptr; }
  // Forgets what has not been read, and the request.
  void Drop();
  // Frees what has been read.
  void Compact();

  // The one being read or answered; null between requests.
  const RequestParser* request() const { return parser_.get(); }
  std::size_t waiting_bytes() const { return input_.size() - offset_; }
  // Whether there is anything of a request.
  bool begun() const { return parser_ != nullptr || waiting_bytes() > 0; }

 private:
  bool SkipEmptyLines();

  const std::size_t max_head_bytes_;
  std::unique_ptr<RequestParser> parser_;
  std::string input_;  // received; read up to offset_
  std::size_t offset_ = 0;
};

}  // namespace fallow::http
