#include "platform/linux/wayland_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "platform/linux/unix_socket.h"
#include "platform/os.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Result<std::string> SocketPath(const std::string& display) {
  if (display.starts_with('/')) return display;
  const char* folder = std::getenv("XDG_RUNTIME_DIR");
  if (folder == nullptr || *folder == '\0') {
    return Fail(
        ErrorCode::kUnavailable,
        fmt::format("the compositor '{}' is looked for in $XDG_RUNTIME_DIR, which is not set",
                    display));
  }
  return fmt::format("{}/{}", folder, display);
}

}  // namespace

Result<std::unique_ptr<WaylandConnection>> WaylandConnection::Open(const std::string& display,
                                                                   int max_events_per_second) {
  FALLOW_ASSIGN_OR_RETURN(const std::string path, SocketPath(display));
  auto socket = ConnectUnixSocket(path);
  if (!socket) {
    Error error = std::move(socket).error();
    // A server whose queue is full is not one that floods us.
    if (error.code != ErrorCode::kInvalidArgument) error.code = ErrorCode::kUnavailable;
    return Wrap(std::move(error), "no Wayland compositor");
  }
  os::IgnoreBrokenPipes();
  // What the library would print is in our errors.
  wl_log_set_handler_client([](const char*, va_list) {});
  std::unique_ptr<WaylandConnection> connection(
      new WaylandConnection(display, max_events_per_second));
  connection->display_ = wl_display_connect_to_fd(socket->Release());
  if (connection->display_ == nullptr) {
    return std::unexpected(os::SystemError("cannot set up a Wayland connection", errno));
  }
  return connection;
}

WaylandConnection::~WaylandConnection() {
  if (asked_ != nullptr) wl_callback_destroy(asked_);
  if (display_ != nullptr) wl_display_disconnect(display_);
}

Status WaylandConnection::Roundtrip() {
  if (asked_ == nullptr) {
    static constexpr wl_callback_listener kListener = {
        .done =
            [](void* self, wl_callback* callback, std::uint32_t) {
              static_cast<WaylandConnection*>(self)->asked_ = nullptr;
              wl_callback_destroy(callback);
            },
    };
    asked_ = wl_display_sync(display_);
    if (asked_ == nullptr) return Broken();
    wl_callback_add_listener(asked_, &kListener, this);
  }
  const auto deadline = steady_clock::now() + kWaylandPatience;
  while (asked_ != nullptr) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) {
      return Fail(ErrorCode::kDeadlineExceeded,
                  fmt::format("the compositor at {} does not answer", name_));
    }
    FALLOW_RETURN_IF_ERROR(Turn(left));
  }
  return {};
}

// Sends what is to be sent, waits for something to arrive, reads once, calls the listeners and
// sends what they asked for: nothing else may come that would have it sent.
Status WaylandConnection::Turn(milliseconds patience) {
  while (wl_display_prepare_read(display_) != 0) FALLOW_RETURN_IF_ERROR(DispatchQueued());
  const bool is_full = wl_display_flush(display_) < 0 && errno == EAGAIN;
  pollfd socket{.fd = descriptor(), .events = POLLIN, .revents = 0};
  if (is_full) socket.events |= POLLOUT;
  ::poll(&socket, 1, static_cast<int>(patience.count()));
  if ((socket.revents & ~POLLOUT) == 0) {
    wl_display_cancel_read(display_);
  } else {
    wl_display_read_events(display_);
  }
  const Status dispatched = DispatchQueued();
  wl_display_flush(display_);
  return dispatched;
}

Status WaylandConnection::DispatchQueued() {
  const int events = wl_display_dispatch_pending(display_);
  if (events < 0 || wl_display_get_error(display_) != 0) return Broken();
  if (allowance_.Take(events, steady_clock::now())) return {};
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("the compositor at {} sends more than {} events in one second", name_,
                          allowance_.max_events_per_second()));
}

std::unexpected<Error> WaylandConnection::Broken() const {
  const int error = wl_display_get_error(display_);
  std::string reason = "has ended";
  if (error == EPROTO) {
    const wl_interface* interface = nullptr;
    const std::uint32_t code = wl_display_get_protocol_error(display_, &interface, nullptr);
    reason = fmt::format("ended the connection with protocol error {} about {}", code,
                         interface != nullptr ? interface->name : "an unknown object");
  } else if (error != EPIPE && error != ECONNRESET) {
    reason = fmt::format("cannot be understood: {}", std::strerror(error));
  }
  return Fail(ErrorCode::kUnavailable, fmt::format("the compositor at {} {}", name_, reason));
}

}  // namespace fallow
