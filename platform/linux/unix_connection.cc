#include "platform/linux/unix_connection.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include "platform/os.h"

namespace fallow {

Result<OwnedDescriptor> ConnectUnix(std::string_view name, UnixNamespace where) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A file's name ends with a zero, an abstract one begins with it.
  const std::size_t limit = sizeof(address.sun_path) - 1;
  if (name.empty() || name.size() > limit) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the socket's name '{}' has {} bytes, the system allows 1 to {}", name,
                            name.size(), limit));
  }
  const bool is_file = where == UnixNamespace::kFile;
  name.copy(address.sun_path + (is_file ? 0 : 1), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1);
  OwnedDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket &&
      ::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), size) == 0) {
    return socket;
  }
  Error error = os::SystemError(fmt::format("cannot connect to {}", name), errno);
  error.code = ErrorCode::kUnavailable;
  return std::unexpected(std::move(error));
}

}  // namespace fallow
