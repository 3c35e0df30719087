#include "tests/integration/platform/x11_window.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>

#include "tests/support/program.h"

namespace fallow::testing {
namespace {

xcb_atom_t Atom(xcb_connection_t* connection, const std::string& name) {
  const auto cookie =
      xcb_intern_atom(connection, 0, static_cast<std::uint16_t>(name.size()), name.c_str());
  xcb_intern_atom_reply_t* reply = xcb_intern_atom_reply(connection, cookie, nullptr);
  const xcb_atom_t atom = reply != nullptr ? reply->atom : xcb_atom_t{XCB_ATOM_NONE};
  std::free(reply);
  return atom;
}

const xcb_screen_t& ScreenOf(xcb_connection_t* connection) {
  if (xcb_connection_has_error(connection) != 0) std::abort();
  return *xcb_setup_roots_iterator(xcb_get_setup(connection)).data;
}

}  // namespace

bool AwaitWindowManager(const std::string& display) {
  xcb_connection_t* connection = xcb_connect(display.c_str(), nullptr);
  const xcb_window_t root = ScreenOf(connection).root;
  const xcb_atom_t clients = Atom(connection, "_NET_CLIENT_LIST");
  const bool is_there = WaitUntil(
      [&] {
        xcb_get_property_reply_t* list = xcb_get_property_reply(
            connection, xcb_get_property(connection, 0, root, clients, XCB_ATOM_WINDOW, 0, 1),
            nullptr);
        const bool told = list != nullptr && list->type == XCB_ATOM_WINDOW;
        std::free(list);
        return told;
      },
      std::chrono::seconds(20));
  xcb_disconnect(connection);
  return is_there;
}

X11Window::X11Window(const std::string& display, const std::string& program, bool covers_screen)
    : connection_(xcb_connect(display.c_str(), nullptr)) {
  const xcb_screen_t& screen = ScreenOf(connection_);
  root_ = screen.root;
  window_ = xcb_generate_id(connection_);
  xcb_create_window(connection_, XCB_COPY_FROM_PARENT, window_, root_, 0, 0, 200, 100, 0,
                    XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, XCB_CW_BACK_PIXEL,
                    &screen.black_pixel);
  const std::string names = program + std::string(1, '\0') + program + std::string(1, '\0');
  xcb_change_property(connection_, XCB_PROP_MODE_REPLACE, window_, XCB_ATOM_WM_CLASS,
                      XCB_ATOM_STRING, 8, static_cast<std::uint32_t>(names.size()), names.data());
  if (covers_screen) {
    const xcb_atom_t state = Atom(connection_, "_NET_WM_STATE_FULLSCREEN");
    xcb_change_property(connection_, XCB_PROP_MODE_REPLACE, window_,
                        Atom(connection_, "_NET_WM_STATE"), XCB_ATOM_ATOM, 32, 1, &state);
  }
  xcb_map_window(connection_, window_);
  xcb_flush(connection_);
}

X11Window::~X11Window() {
  xcb_disconnect(connection_);
}

// By EWMH: a message to the root window.
void X11Window::CoverScreen(bool covers_screen) {
  xcb_client_message_event_t request{};
  request.response_type = XCB_CLIENT_MESSAGE;
  request.format = 32;
  request.window = window_;
  request.type = Atom(connection_, "_NET_WM_STATE");
  request.data.data32[0] = covers_screen ? 1 : 0;  // add or remove
  request.data.data32[1] = Atom(connection_, "_NET_WM_STATE_FULLSCREEN");
  request.data.data32[3] = 1;  // a program asks, not a pager
  xcb_send_event(connection_, 0, root_,
                 XCB_EVENT_MASK_SUBSTRUCTURE_REDIRECT | XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY,
                 reinterpret_cast<const char*>(&request));
  xcb_flush(connection_);
}

}  // namespace fallow::testing
