// A connection to an X11 server of this machine on which no wait is longer than kX11Patience. For
// files of platform/linux alone.
//
// Threading: one thread.
#pragma once

#include <xcb/xcb.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow {

inline constexpr std::chrono::milliseconds kX11Patience{200};

struct FreeX11Reply {
  void operator()(void* reply) const { std::free(reply); }
};
template <class T>
using X11Reply = std::unique_ptr<T, FreeX11Reply>;

class X11Connection {
 public:
  // Looks at the new connection: fails where the server will not do.
  using Check = std::function<Status(const X11Connection&)>;

  // `display`: ":0". The server has greeted us; the user's cookie is shown to it if there is one.
  // kInvalidArgument for a display of another machine; kUnavailable, with the reason, if nobody
  // serves it or lets us in; or what `check` says. A server that does not answer breaks the
  // connection during `check`, whatever it asks. So the first request to each extension belongs
  // there: libxcb asks for the extension's number before it and waits without a limit.
  static Result<X11Connection> Open(const std::string& display, const Check& check);

  xcb_connection_t* get() const { return connection_.get(); }
  int descriptor() const { return xcb_get_file_descriptor(get()); }
  bool broken() const { return xcb_connection_has_error(get()) != 0; }
  xcb_window_t root() const;  // XCB_WINDOW_NONE if it has no screen

 private:
  struct Close {
    void operator()(xcb_connection_t* connection) const { xcb_disconnect(connection); }
  };
  X11Connection() = default;

  std::unique_ptr<xcb_connection_t, Close> connection_;
};

// Questions that are answered within kX11Patience, all together, or not at all: null or false then.
// Late answers must not be taken for those to other questions: drop the connection.
class X11Questions {
 public:
  explicit X11Questions(const X11Connection& connection)
      : connection_(connection), deadline_(std::chrono::steady_clock::now() + kX11Patience) {}

  bool HasExtension(std::string_view name);
  // Whether it shows X11 programs' windows on a Wayland desktop: it sees the input to those alone.
  bool IsXwayland();
  // `sequence`: of the request's cookie.
  template <class T>
  X11Reply<T> Await(unsigned sequence) {
    return X11Reply<T>(static_cast<T*>(AwaitAny(sequence)));
  }

 private:
  void* AwaitAny(unsigned sequence);
  bool HasXwaylandDevice();

  const X11Connection& connection_;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace fallow
