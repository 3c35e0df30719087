// Presence by an X11 server's screen-saver extension.
//
// Every wait is bounded: the socket is ours, and a watchdog shuts it when the server does not
// finish its greeting.
#include <X11/Xauth.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xcb/screensaver.h>
#include <xcb/xcb.h>
#include <xcb/xcbext.h>
#include <xcb/xinput.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "platform/os.h"
#include "platform/presence.h"
#include "platform/system.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kReadTimeout{200};
constexpr std::string_view kXwaylandExtension = "XWAYLAND";  // servers from 23.1 on
constexpr std::string_view kXwaylandDevice =
    "xwayland-";  // its pointers and keyboards, in all versions

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Reply = std::unique_ptr<T, Free>;
using Connection =
    std::unique_ptr<xcb_connection_t, decltype([](xcb_connection_t* c) { xcb_disconnect(c); })>;

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

int ConnectLocal(std::string_view name, bool abstract) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t offset = abstract ? 1 : 0;
  name.copy(address.sun_path + offset, sizeof(address.sun_path) - 1 - offset);
  // A stale server whose queue is full fails here instead of keeping us.
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + offset + name.size() + !abstract);
  if (socket < 0 || ::connect(socket, reinterpret_cast<sockaddr*>(&address), size) == 0) {
    return socket;
  }
  const int error_number = errno;
  ::close(socket);
  errno = error_number;
  return -1;
}

Result<int> OpenSocket(const std::string& display, int number) {
  const std::string path = fmt::format("/tmp/.X11-unix/X{}", number);
  int socket = ConnectLocal(path, false);
  const int error_number = errno;
  if (socket < 0) socket = ConnectLocal(path, true);
  if (socket >= 0) return socket;
  Error error = os::SystemError("no X server at " + display, error_number);
  error.code = ErrorCode::kUnavailable;
  return std::unexpected(std::move(error));
}

// Shuts a socket after the timeout, so that whoever waits for it wakes up. xcb waits without a
// limit for a server's greeting and for the numbers of its extensions.
class Watchdog {
 public:
  explicit Watchdog(int socket)
      : thread_([this, socket] {
          std::unique_lock lock(mutex_);
          if (!ended_signal_.wait_for(lock, kReadTimeout, [this] { return ended_; })) {
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
Connection Connect(int socket, int display_number) {
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
  return Connection(xcb_connect_to_fd(socket, cookie != nullptr ? &auth : nullptr));
}

// One connection's questions, each answered before the deadline or not at all.
class Questions {
 public:
  explicit Questions(xcb_connection_t* connection)
      : connection_(connection), deadline_(steady_clock::now() + kReadTimeout) {}

  bool HasExtension(std::string_view name) {
    const auto cookie =
        xcb_query_extension(connection_, static_cast<std::uint16_t>(name.size()), name.data());
    const auto reply = Await<xcb_query_extension_reply_t>(cookie.sequence);
    return reply != nullptr && reply->present != 0;
  }

  bool HasXwaylandDevice() {
    if (!HasExtension("XInputExtension")) return false;
    // The server refuses device questions from those who do not say which version they speak.
    const auto version = xcb_input_xi_query_version(connection_, 2, 0);
    if (Await<xcb_input_xi_query_version_reply_t>(version.sequence) == nullptr) return false;
    const auto cookie = xcb_input_xi_query_device(connection_, XCB_INPUT_DEVICE_ALL);
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

  std::optional<milliseconds> IdleFor() {
    const xcb_screen_t* screen = xcb_setup_roots_iterator(xcb_get_setup(connection_)).data;
    if (screen == nullptr) return std::nullopt;
    const auto cookie = xcb_screensaver_query_info(connection_, screen->root);
    const auto reply = Await<xcb_screensaver_query_info_reply_t>(cookie.sequence);
    if (reply == nullptr) return std::nullopt;
    return milliseconds(reply->ms_since_user_input);
  }

 private:
  // Null if it is late, an error, or the connection broke.
  template <class T>
  Reply<T> Await(unsigned sequence) {
    xcb_flush(connection_);
    while (true) {
      void* reply = nullptr;
      xcb_generic_error_t* error = nullptr;
      if (xcb_poll_for_reply(connection_, sequence, &reply, &error) != 0) {
        std::free(error);
        return Reply<T>(static_cast<T*>(reply));
      }
      const auto left = std::chrono::ceil<milliseconds>(deadline_ - steady_clock::now());
      if (left.count() <= 0) return nullptr;
      pollfd socket{.fd = xcb_get_file_descriptor(connection_), .events = POLLIN, .revents = 0};
      ::poll(&socket, 1, static_cast<int>(left.count()));
    }
  }

  xcb_connection_t* connection_;
  steady_clock::time_point deadline_;
};

class X11PresenceSource : public PresenceSource {
 public:
  explicit X11PresenceSource(std::string display) : display_(std::move(display)) {}

  std::string name() const override { return "x11 " + display_; }

  Status Open() {
    connection_ = nullptr;
    FALLOW_ASSIGN_OR_RETURN(const int number, DisplayNumber(display_));
    FALLOW_ASSIGN_OR_RETURN(const int socket, OpenSocket(display_, number));
    os::IgnoreBrokenPipes();
    Connection connection;
    Status trusted;
    {
      const Watchdog watchdog(socket);
      connection = Connect(socket, number);
      trusted = CheckIsTrusted(connection.get());
    }
    if (trusted) connection_ = std::move(connection);
    return trusted;
  }

  PresenceReading Read() override {
    PresenceReading reading{.source = name(), .known = false, .idle_for = {}, .detail = {}};
    if (connection_ == nullptr) {
      // The next reading may be the one that finds the server again.
      if (const Status opened = Open(); !opened) {
        reading.detail = opened.error().message;
        return reading;
      }
    }
    if (const auto idle = Questions(connection_.get()).IdleFor()) {
      reading.known = true;
      reading.idle_for = *idle;
      return reading;
    }
    reading.detail = xcb_connection_has_error(connection_.get()) != 0
                         ? "the X server at " + display_ + " has ended"
                         : "the X server at " + display_ + " does not answer";
    // A late answer must not be taken for the next question's.
    connection_ = nullptr;
    return reading;
  }

 private:
  Status CheckIsTrusted(xcb_connection_t* connection) const {
    if (xcb_connection_has_error(connection) != 0) {
      return Fail(
          ErrorCode::kUnavailable,
          fmt::format("the X server at {} does not let us in or does not answer", display_));
    }
    // A server that hangs or dies among these answers each further one with "no": the last decides.
    Questions ask(connection);
    if (ask.HasExtension(kXwaylandExtension) || ask.HasXwaylandDevice()) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{} is XWayland, which sees only input to X11 windows", display_));
    }
    const bool has_extension = ask.HasExtension("MIT-SCREEN-SAVER");
    if (has_extension && ask.IdleFor()) return {};
    return Fail(
        ErrorCode::kUnavailable,
        has_extension || xcb_connection_has_error(connection) != 0
            ? fmt::format("the X server at {} does not answer", display_)
            : fmt::format("the X server at {} lacks the MIT-SCREEN-SAVER extension", display_));
  }

  std::string display_;
  Connection connection_;
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> NewX11PresenceSource(Loop&, const std::string& display) {
  auto source = std::make_unique<X11PresenceSource>(display);
  FALLOW_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace fallow
