// The socket is ours, and a watchdog shuts it when the server does not finish its greeting.
#include "platform/linux/x11_connection.h"

#include <X11/Xauth.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <xcb/xcbext.h>
#include <xcb/xinput.h>

#include <charconv>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "platform/linux/unix_socket.h"
#include "platform/os.h"
#include "platform/system.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kXwaylandExtension = "XWAYLAND";  // servers from 23.1 on
constexpr std::string_view kXwaylandDevice =
    "xwayland-";  // its pointers and keyboards, in all versions

// The number in ":0", ":0.1" or "unix:0".
Result<int> DisplayNumber(const std::string& display) {
  std::string_view text = display;
  if (text.starts_with("unix:")) text.remove_prefix(4);
  int number = -1;
  if (text.starts_with(':')) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + 1, end, number);
    if (error == std::errc() && number >= 0 && (rest == end || *rest == '.')) return number;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is not a display of this machine, like ':0'", display));
}

Result<OwnedDescriptor> OpenSocket(const std::string& display, int number) {
  const std::string path = fmt::format("/tmp/.X11-unix/X{}", number);
  auto socket = ConnectUnixSocket(path);
  if (socket) return socket;
  if (auto other = ConnectUnixSocket(path, UnixNamespace::kAbstract)) return other;
  return Fail(ErrorCode::kUnavailable,
              fmt::format("no X server at {}: {}", display, socket.error().message));
}

// Shuts a socket after kX11Patience, so that whoever waits for it wakes up. xcb waits without a
// limit for a server's greeting and for the numbers of its extensions.
class Watchdog {
 public:
  explicit Watchdog(int socket)
      : thread_([this, socket] {
          std::unique_lock lock(mutex_);
          if (!ended_signal_.wait_for(lock, kX11Patience, [this] { return ended_; })) {
            ::shutdown(socket, SHUT_RDWR);
          }
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    ended_signal_.notify_one();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_signal_;
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;
};

// With the user's cookie, if there is one. Owns the socket. May be broken from the start.
xcb_connection_t* Greet(int socket, int display_number) {
  constexpr std::string_view kProtocol = "MIT-MAGIC-COOKIE-1";
  const std::string host = HostName();
  const std::string number = std::to_string(display_number);
  const std::unique_ptr<Xauth, decltype([](Xauth* a) { XauDisposeAuth(a); })> cookie(
      XauGetAuthByAddr(FamilyLocal, static_cast<unsigned short>(host.size()), host.data(),
                       static_cast<unsigned short>(number.size()), number.data(),
                       static_cast<int>(kProtocol.size()), kProtocol.data()));
  xcb_auth_info_t auth{};
  if (cookie != nullptr) {
    auth = {cookie->name_length, cookie->name, cookie->data_length, cookie->data};
  }
  return xcb_connect_to_fd(socket, cookie != nullptr ? &auth : nullptr);
}

}  // namespace

Result<X11Connection> X11Connection::Open(const std::string& display, const Check& check) {
  FALLOW_ASSIGN_OR_RETURN(const int number, DisplayNumber(display));
  FALLOW_ASSIGN_OR_RETURN(OwnedDescriptor opened, OpenSocket(display, number));
  os::IgnoreBrokenPipes();
  // It outlives the watchdog, which shuts its socket by number.
  X11Connection connection;
  Status checked;
  {
    const int socket = opened.Release();
    const Watchdog watchdog(socket);
    connection.connection_.reset(Greet(socket, number));
    if (!connection.broken()) checked = check(connection);
  }
  FALLOW_RETURN_IF_ERROR(checked);
  if (connection.broken()) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the X server at {} does not let us in or does not answer", display));
  }
  return connection;
}

xcb_window_t X11Connection::root() const {
  const xcb_screen_t* screen = xcb_setup_roots_iterator(xcb_get_setup(get())).data;
  return screen != nullptr ? screen->root : xcb_window_t{XCB_WINDOW_NONE};
}

bool X11Questions::HasExtension(std::string_view name) {
  const auto cookie =
      xcb_query_extension(connection_.get(), static_cast<std::uint16_t>(name.size()), name.data());
  const auto reply = Await<xcb_query_extension_reply_t>(cookie.sequence);
  return reply != nullptr && reply->present != 0;
}

bool X11Questions::IsXwayland() {
  return HasExtension(kXwaylandExtension) || HasXwaylandDevice();
}

bool X11Questions::HasXwaylandDevice() {
  if (!HasExtension("XInputExtension")) return false;
  // The server refuses device questions from those who do not say which version they speak.
  const auto version = xcb_input_xi_query_version(connection_.get(), 2, 0);
  if (Await<xcb_input_xi_query_version_reply_t>(version.sequence) == nullptr) return false;
  const auto cookie = xcb_input_xi_query_device(connection_.get(), XCB_INPUT_DEVICE_ALL);
  const auto reply = Await<xcb_input_xi_query_device_reply_t>(cookie.sequence);
  if (reply == nullptr) return false;
  for (auto device = xcb_input_xi_query_device_infos_iterator(reply.get()); device.rem > 0;
       xcb_input_xi_device_info_next(&device)) {
    const std::string_view name(
        xcb_input_xi_device_info_name(device.data),
        static_cast<std::size_t>(xcb_input_xi_device_info_name_length(device.data)));
    if (name.starts_with(kXwaylandDevice)) return true;
  }
  return false;
}

// Null if it is late, an error, or the connection broke.
void* X11Questions::AwaitAny(unsigned sequence) {
  xcb_flush(connection_.get());
  while (true) {
    void* reply = nullptr;
    xcb_generic_error_t* error = nullptr;
    if (xcb_poll_for_reply(connection_.get(), sequence, &reply, &error) != 0) {
      std::free(error);
      return reply;
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - steady_clock::now());
    if (left.count() <= 0) return nullptr;
    pollfd socket{.fd = connection_.descriptor(), .events = POLLIN, .revents = 0};
    ::poll(&socket, 1, static_cast<int>(left.count()));
  }
}

}  // namespace fallow
