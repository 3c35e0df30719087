// A ReplyEncoder writes one reply as HTTP/1.1: its head, then its body at once, in chunks, of a
// length told in advance, or up to the connection's end. Bytes out, no I/O.
//
// Invariant: no body follows the head of a reply to HEAD, or one whose status has none. Threading:
// none of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "coordinator/http/server.h"

namespace fallow::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

enum class AfterReply : std::uint8_t { kKeepAlive, kClose };

class ReplyEncoder {
 public:
  struct Client {
    bool wants_head_only = false;  // its request was HEAD
    bool knows_chunks = true;      // it speaks HTTP/1.1
  };
  explicit ReplyEncoder(Client client) : client_(client) {}

  // Whether a body of this length, or of one not known yet, has no end but the connection's.
  bool EndsWithConnection(std::optional<std::uint64_t> content_length) const {
    return !content_length.has_value() && !client_.knows_chunks;
  }

  // The reply, complete. This or Head, once.
  std::string Whole(const Response& response, AfterReply after);

  // The head of a reply whose body comes in pieces, then those, then what ends it.
  std::string Head(int status, const Headers& headers, std::optional<std::uint64_t> content_length,
                   AfterReply after);
  // `bytes` are some, and no more than the length in the head leaves.
  Bytes Piece(ByteView bytes);
  std::string Last() const;

  bool wants_head_only() const { return client_.wants_head_only; }
  bool head_made() const { return head_made_; }
  // Whether as many bytes came as the head says.
  bool kept_its_length() const { return remaining_.value_or(0) == 0; }

 private:
  std::string BeginHead(int status, const Headers& headers, AfterReply after);

  const Client client_;
  bool head_made_ = false;
  bool chunked_ = false;
  std::optional<std::uint64_t> remaining_;  // of the length in the head
};

}  // namespace fallow::http
