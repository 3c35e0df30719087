// The windows of a Wayland compositor, by whichever of two protocols it offers. For files of
// platform/linux alone.
//
// Of a window we learn its program, whether it has the keyboard and whether it covers the screen;
// its title, which some compositors send along, is not kept. Threading: as the connection's
// listeners.
#pragma once

#include <wayland-client.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace fallow {

struct WaylandWindow {
  std::string program;  // its app id; empty if it has none
  bool has_focus = false;
  bool covers_screen = false;
};

class WaylandWindows {
 public:
  // More are not looked at.
  static constexpr std::size_t kMaxWindows = 256;

  virtual ~WaylandWindows() = default;  // before the connection ends
  // The one that covers the screen and has the keyboard; null if none does.
  virtual const WaylandWindow* FullScreen() const = 0;
};

// Whether a global of this interface and version lists windows.
bool ListsWindows(std::string_view interface, std::uint32_t version);
// What has to be offered, for a message: "zwlr_foreign_toplevel_manager_v1 version 2 or …".
std::string WindowListNames();
// `interface` lists windows; `name` is the global's. Those that are there have come after one round
// trip, and what is known of them after a second.
std::unique_ptr<WaylandWindows> BindWindows(wl_registry* registry, std::uint32_t name,
                                            std::string_view interface);

}  // namespace fallow
