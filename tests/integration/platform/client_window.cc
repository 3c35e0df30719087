#include "tests/integration/platform/client_window.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "generated/wayland/xdg_shell_client.h"

namespace fallow::testing {
namespace {

// Where the compositor leaves the size to the window.
constexpr std::int32_t kWidth = 200, kHeight = 100;
constexpr std::int32_t kBytesPerPixel = 4;

template <class T>
T* BindGlobal(wl_registry* registry, std::uint32_t number, const wl_interface& interface) {
  return static_cast<T*>(wl_registry_bind(registry, number, &interface, 1));
}

}  // namespace

ClientWindow::ClientWindow(const std::string& display, const std::string& program,
                           bool covers_screen)
    : display_(wl_display_connect(display.c_str())) {
  if (display_ == nullptr) std::abort();
  static constexpr wl_registry_listener kGlobals = {
      .global =
          [](void* self, wl_registry* registry, std::uint32_t number, const char* interface,
             std::uint32_t) {
            static_cast<ClientWindow*>(self)->Bind(registry, number, interface);
          },
      .global_remove = [](void*, wl_registry*, std::uint32_t) {},
  };
  registry_ = wl_display_get_registry(display_);
  wl_registry_add_listener(registry_, &kGlobals, this);
  wl_display_roundtrip(display_);
  if (compositor_ == nullptr || memory_ == nullptr || shell_ == nullptr) std::abort();

  static constexpr xdg_surface_listener kSurface = {
      .configure = [](void* self, xdg_surface* surface, std::uint32_t serial) {
        xdg_surface_ack_configure(surface, serial);
        static_cast<ClientWindow*>(self)->Draw();
      }};
  static constexpr xdg_toplevel_listener kWindow = {
      .configure =
          [](void* self, xdg_toplevel*, std::int32_t width, std::int32_t height, wl_array*) {
            static_cast<ClientWindow*>(self)->width_ = width > 0 ? width : kWidth;
            static_cast<ClientWindow*>(self)->height_ = height > 0 ? height : kHeight;
          },
      .close = [](void*, xdg_toplevel*) {},
      .configure_bounds = [](void*, xdg_toplevel*, std::int32_t, std::int32_t) {},
      .wm_capabilities = [](void*, xdg_toplevel*, wl_array*) {},
  };
  surface_ = wl_compositor_create_surface(compositor_);
  shell_surface_ = xdg_wm_base_get_xdg_surface(shell_, surface_);
  xdg_surface_add_listener(shell_surface_, &kSurface, this);
  window_ = xdg_surface_get_toplevel(shell_surface_);
  xdg_toplevel_add_listener(window_, &kWindow, this);
  xdg_toplevel_set_app_id(window_, program.c_str());
  if (covers_screen) xdg_toplevel_set_fullscreen(window_, nullptr);
  wl_surface_commit(surface_);
  wl_display_flush(display_);
}

ClientWindow::~ClientWindow() {
  xdg_toplevel_destroy(window_);
  xdg_surface_destroy(shell_surface_);
  wl_surface_destroy(surface_);
  if (buffer_ != nullptr) wl_buffer_destroy(buffer_);
  xdg_wm_base_destroy(shell_);
  wl_shm_destroy(memory_);
  wl_compositor_destroy(compositor_);
  wl_registry_destroy(registry_);
  wl_display_disconnect(display_);
}

void ClientWindow::Bind(wl_registry* registry, std::uint32_t number, const std::string& interface) {
  if (interface == wl_compositor_interface.name)
    compositor_ = BindGlobal<wl_compositor>(registry, number, wl_compositor_interface);
  if (interface == wl_shm_interface.name)
    memory_ = BindGlobal<wl_shm>(registry, number, wl_shm_interface);
  if (interface != xdg_wm_base_interface.name) return;
  shell_ = BindGlobal<xdg_wm_base>(registry, number, xdg_wm_base_interface);
  static constexpr xdg_wm_base_listener kListener = {
      .ping = [](void*, xdg_wm_base* shell, std::uint32_t serial) {
        xdg_wm_base_pong(shell, serial);
      }};
  xdg_wm_base_add_listener(shell_, &kListener, this);
}

void ClientWindow::Pump() {
  while (wl_display_prepare_read(display_) != 0) wl_display_dispatch_pending(display_);
  wl_display_flush(display_);
  pollfd readable{.fd = wl_display_get_fd(display_), .events = POLLIN, .revents = 0};
  if (poll(&readable, 1, 0) == 1) {
    wl_display_read_events(display_);
  } else {
    wl_display_cancel_read(display_);
  }
  wl_display_dispatch_pending(display_);
  wl_display_flush(display_);
}

void ClientWindow::CoverScreen(bool covers_screen) {
  covers_screen ? xdg_toplevel_set_fullscreen(window_, nullptr)
                : xdg_toplevel_unset_fullscreen(window_);
  wl_display_flush(display_);
}

// All of it black.
void ClientWindow::Draw() {
  const std::int32_t bytes = width_ * height_ * kBytesPerPixel;
  const int file = memfd_create("window", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, bytes) != 0) std::abort();
  wl_shm_pool* pool = wl_shm_create_pool(memory_, file, bytes);
  wl_buffer* next = wl_shm_pool_create_buffer(pool, 0, width_, height_, width_ * kBytesPerPixel,
                                              WL_SHM_FORMAT_XRGB8888);
  wl_shm_pool_destroy(pool);
  close(file);
  wl_surface_attach(surface_, next, 0, 0);
  wl_surface_damage(surface_, 0, 0, width_, height_);
  wl_surface_commit(surface_);
  if (buffer_ != nullptr) wl_buffer_destroy(buffer_);
  buffer_ = next;
}

}  // namespace fallow::testing
