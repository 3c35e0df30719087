// A byte stream on a libuv handle: TCP connections and Unix sockets. For files of platform/ alone.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow {

// Accepts TCP connections at `address` (IPv4 or IPv6).
Result<std::unique_ptr<Listener>> ListenTcp(
    Loop& loop, const std::string& address, std::uint16_t port,
    std::function<void(std::unique_ptr<ByteStream>)> on_connection);

// Accepts connections at `listening_socket`, a bound Unix socket; owns it from now on. `admit`
// looks at each new connection's descriptor; those it refuses are closed.
Result<std::unique_ptr<Listener>> ListenUnix(
    Loop& loop, int listening_socket, std::function<bool(int descriptor)> admit,
    std::function<void(std::unique_ptr<ByteStream>)> on_connection);

// A stream on `socket`, a connected Unix socket; owns it from now on.
std::unique_ptr<ByteStream> OpenUnixStream(Loop& loop, int socket);

}  // namespace fallow
