// A window of the test's own on a real Wayland compositor, for compositors on which no small
// program of Debian's shows one.
//
// Threading: one thread; nothing happens but in its calls.
#pragma once

#include <wayland-client.h>

#include <cstdint>
#include <string>

struct xdg_wm_base;
struct xdg_surface;
struct xdg_toplevel;

namespace fallow::testing {

class ClientWindow {
 public:
  // The compositor shows it once Pump was called a few times.
  ClientWindow(const std::string& display, const std::string& program, bool covers_screen);
  ~ClientWindow();  // it closes
  ClientWindow(const ClientWindow&) = delete;
  ClientWindow& operator=(const ClientWindow&) = delete;

  // What the compositor wants of it, without waiting.
  void Pump();
  void CoverScreen(bool covers_screen);

 private:
  void Bind(wl_registry* registry, std::uint32_t number, const std::string& interface);
  void Draw();

  wl_display* display_ = nullptr;
  wl_registry* registry_ = nullptr;
  wl_compositor* compositor_ = nullptr;
  wl_shm* memory_ = nullptr;
  xdg_wm_base* shell_ = nullptr;
  wl_surface* surface_ = nullptr;
  xdg_surface* shell_surface_ = nullptr;
  xdg_toplevel* window_ = nullptr;
  wl_buffer* buffer_ = nullptr;
  std::int32_t width_ = 0, height_ = 0;  // pixels, as the compositor asked
};

}  // namespace fallow::testing
