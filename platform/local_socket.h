// Local calls between processes of one user: a Unix socket, one JSON request and one JSON reply per
// connection.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow {

// Serves at `path` (made 0600, replaced if stale). kAlreadyExists if a live server answers there.
// Callers of another user are refused by peer credentials.
Result<std::unique_ptr<Listener>> ServeLocalCalls(
    Loop& loop, const std::string& path,
    std::function<std::string(std::string_view request)> answer);
// Blocking, at most `timeout`. kUnavailable if nobody serves there.
Result<std::string> CallLocal(const std::string& path, std::string_view request,
                              std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace fallow
