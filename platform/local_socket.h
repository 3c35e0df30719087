// Unix sockets between processes of this machine: streams whose other end the system vouches for,
// and on them local calls, one JSON request and one JSON reply per connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow {

struct LocalPeer {
  std::int64_t user_id = 0;
  std::int64_t process_id = 0;
  bool is_ours = false;  // of the user whom this process runs as, or root
};
enum class LocalCallers : std::uint8_t {
  kSameUser,  // and root, who may do as much without us
  kAnyUser,
};

// Accepts connections at `path` (made 0600, or 0666 for any user; replaced if stale), by peer
// credentials. kAlreadyExists if a live server answers there.
Result<std::unique_ptr<Listener>> ListenLocal(
    Loop& loop, const std::string& path, LocalCallers callers,
    std::function<void(std::unique_ptr<ByteStream>, LocalPeer)> on_connection);
// kUnavailable if nobody listens there.
Result<std::unique_ptr<ByteStream>> ConnectLocal(Loop& loop, const std::string& path);

struct LocalCallService {
  // May end the server.
  std::function<std::string(std::string_view request, const LocalPeer& caller)> answer;
  // Whether a caller who is not ours has places of its own; all others together have as many as one
  // of these. Null: each has.
  std::function<bool(const LocalPeer& caller)> is_known = nullptr;
};
// What is asked is short: whoever may send much could have much parsed.
inline constexpr std::size_t kMaxLocalRequestBytes = 4096;
// Of callers who are not ours, so that none of them takes the places of others, or all the time of
// the server.
inline constexpr std::size_t kMaxOpenCallsOfUser = 4;
inline constexpr std::size_t kMaxCallsOfUserPer10S = 100;

// Serves at `path`, as ListenLocal does. A caller beyond the limits is hung up on.
Result<std::unique_ptr<Listener>> ServeLocalCalls(Loop& loop, const std::string& path,
                                                  LocalCallers callers, LocalCallService service);
// Blocking, at most `timeout`. kUnavailable if nobody serves there, kDeadlineExceeded or
// kResourceExhausted if whoever does gives no answer.
Result<std::string> CallLocal(const std::string& path, std::string_view request,
                              std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace fallow
