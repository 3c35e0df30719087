// A window of the test's own on an X server that a window manager looks after.
//
// Threading: one thread.
#pragma once

#include <xcb/xcb.h>

#include <string>

namespace fallow::testing {

// Until one serves `display` and has looked at the windows that were there before it. False: it
// does not within 20 s.
bool AwaitWindowManager(const std::string& display);

class X11Window {
 public:
  // It is shown at once. The server lets us in by XAUTHORITY, if need be.
  X11Window(const std::string& display, const std::string& program, bool covers_screen);
  ~X11Window();  // it closes
  X11Window(const X11Window&) = delete;
  X11Window& operator=(const X11Window&) = delete;

  // Asks the window manager.
  void CoverScreen(bool covers_screen);

 private:
  xcb_connection_t* connection_;
  xcb_window_t root_ = XCB_WINDOW_NONE;
  xcb_window_t window_ = XCB_WINDOW_NONE;
};

}  // namespace fallow::testing
