#include "platform/linux/wayland_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "generated/wayland/kde_window_management_client.h"
#include "generated/wayland/wlr_foreign_toplevel_client.h"
#include "platform/linux/foreign_text.h"

namespace fallow {
namespace {

// The first version that tells of full screen.
constexpr std::uint32_t kWlrVersion = 2;
// The first that names windows so that KWin finds them again: by their numbers it answers twice,
// which ends the connection.
constexpr std::uint32_t kKdeVersion = 13;

// The windows that are there, each with the object that tells of it.
template <class Handle, auto kDestroy>
class WindowList : public WaylandWindows {
 public:
  ~WindowList() override {
    for (const Entry& entry : entries_) kDestroy(entry.handle);
  }
  WindowList(const WindowList&) = delete;
  WindowList& operator=(const WindowList&) = delete;

  const WaylandWindow* FullScreen() const override {
    const auto found = std::ranges::find_if(entries_, [](const Entry& entry) {
      return entry.window.covers_screen && entry.window.has_focus;
    });
    return found == entries_.end() ? nullptr : &found->window;
  }

 protected:
  WindowList() = default;

  bool IsFull() const { return entries_.size() == kMaxWindows; }
  void Add(Handle* handle) { entries_.push_back({handle, {}}); }
  // One that was added and not removed: those we let go tell nothing more.
  WaylandWindow& Of(Handle* handle) { return Find(handle)->window; }
  void Remove(Handle* handle) {
    entries_.erase(Find(handle));
    kDestroy(handle);
  }

 private:
  struct Entry {
    Handle* handle = nullptr;
    WaylandWindow window;
  };
  typename std::vector<Entry>::iterator Find(Handle* handle) {
    return std::ranges::find(entries_, handle, &Entry::handle);
  }

  std::vector<Entry> entries_;
};

// ---- Compositors of the wlroots family ----------------------------------------------------------

using WlrHandle = zwlr_foreign_toplevel_handle_v1;
using WlrManager = zwlr_foreign_toplevel_manager_v1;

class WlrWindows : public WindowList<WlrHandle, zwlr_foreign_toplevel_handle_v1_destroy> {
 public:
  explicit WlrWindows(WlrManager* manager) : manager_(manager) {
    static constexpr zwlr_foreign_toplevel_manager_v1_listener kListener = {
        .toplevel = [](void* self, WlrManager*,
                       WlrHandle* handle) { static_cast<WlrWindows*>(self)->Follow(handle); },
        .finished = [](void*, WlrManager*) {},
    };
    zwlr_foreign_toplevel_manager_v1_add_listener(manager_, &kListener, this);
  }
  ~WlrWindows() override { zwlr_foreign_toplevel_manager_v1_destroy(manager_); }

 private:
  void Follow(WlrHandle* handle) {
    if (IsFull()) return zwlr_foreign_toplevel_handle_v1_destroy(handle);
    static constexpr zwlr_foreign_toplevel_handle_v1_listener kListener = {
        .title = [](void*, WlrHandle*, const char*) {},
        .app_id =
            [](void* self, WlrHandle* of, const char* name) {
              static_cast<WlrWindows*>(self)->Of(of).program = ForeignText(name);
            },
        .output_enter = [](void*, WlrHandle*, wl_output*) {},
        .output_leave = [](void*, WlrHandle*, wl_output*) {},
        .state =
            [](void* self, WlrHandle* of, wl_array* states) {
              SetStates(static_cast<WlrWindows*>(self)->Of(of), *states);
            },
        .done = [](void*, WlrHandle*) {},
        .closed = [](void* self, WlrHandle* of) { static_cast<WlrWindows*>(self)->Remove(of); },
    };
    Add(handle);
    zwlr_foreign_toplevel_handle_v1_add_listener(handle, &kListener, this);
  }

  static void SetStates(WaylandWindow& window, const wl_array& states) {
    window.has_focus = window.covers_screen = false;
    const auto* state = static_cast<const std::uint32_t*>(states.data);
    for (std::size_t i = 0; i < states.size / sizeof(std::uint32_t); ++i) {
      if (state[i] == ZWLR_FOREIGN_TOPLEVEL_HANDLE_V1_STATE_ACTIVATED) window.has_focus = true;
      if (state[i] == ZWLR_FOREIGN_TOPLEVEL_HANDLE_V1_STATE_FULLSCREEN) window.covers_screen = true;
    }
  }

  WlrManager* manager_;
};

// ---- KWin ---------------------------------------------------------------------------------------

using KdeWindow = org_kde_plasma_window;
using KdeManager = org_kde_plasma_window_management;

class KdeWindows : public WindowList<KdeWindow, org_kde_plasma_window_destroy> {
 public:
  explicit KdeWindows(KdeManager* manager) : manager_(manager) {
    static constexpr org_kde_plasma_window_management_listener kListener = {
        .show_desktop_changed = [](void*, KdeManager*, std::uint32_t) {},
        .window = [](void*, KdeManager*, std::uint32_t) {},
        .stacking_order_changed = [](void*, KdeManager*, wl_array*) {},
        .stacking_order_uuid_changed = [](void*, KdeManager*, const char*) {},
        .window_with_uuid = [](void* self, KdeManager*, std::uint32_t,
                               const char* uuid) { static_cast<KdeWindows*>(self)->Follow(uuid); },
    };
    org_kde_plasma_window_management_add_listener(manager_, &kListener, this);
  }
  ~KdeWindows() override { org_kde_plasma_window_management_destroy(manager_); }

 private:
  void Follow(const char* uuid) {
    if (IsFull()) return;
    static constexpr org_kde_plasma_window_listener kListener = {
        .title_changed = [](void*, KdeWindow*, const char*) {},
        .app_id_changed =
            [](void* self, KdeWindow* of, const char* name) {
              static_cast<KdeWindows*>(self)->Of(of).program = ForeignText(name);
            },
        .state_changed =
            [](void* self, KdeWindow* of, std::uint32_t states) {
              SetStates(static_cast<KdeWindows*>(self)->Of(of), states);
            },
        .virtual_desktop_changed = [](void*, KdeWindow*, std::int32_t) {},
        .themed_icon_name_changed = [](void*, KdeWindow*, const char*) {},
        .unmapped = [](void* self, KdeWindow* of) { static_cast<KdeWindows*>(self)->Remove(of); },
        .initial_state = [](void*, KdeWindow*) {},
        .parent_window = [](void*, KdeWindow*, KdeWindow*) {},
        .geometry = [](void*, KdeWindow*, std::int32_t, std::int32_t, std::uint32_t,
                       std::uint32_t) {},
        .icon_changed = [](void*, KdeWindow*) {},
        .pid_changed = [](void*, KdeWindow*, std::uint32_t) {},
        .virtual_desktop_entered = [](void*, KdeWindow*, const char*) {},
        .virtual_desktop_left = [](void*, KdeWindow*, const char*) {},
        .application_menu = [](void*, KdeWindow*, const char*, const char*) {},
        .activity_entered = [](void*, KdeWindow*, const char*) {},
        .activity_left = [](void*, KdeWindow*, const char*) {},
        .resource_name_changed = [](void*, KdeWindow*, const char*) {},
    };
    KdeWindow* window = org_kde_plasma_window_management_get_window_by_uuid(manager_, uuid);
    Add(window);
    org_kde_plasma_window_add_listener(window, &kListener, this);
  }

  static void SetStates(WaylandWindow& window, std::uint32_t states) {
    window.has_focus = (states & ORG_KDE_PLASMA_WINDOW_MANAGEMENT_STATE_ACTIVE) != 0;
    window.covers_screen = (states & ORG_KDE_PLASMA_WINDOW_MANAGEMENT_STATE_FULLSCREEN) != 0 &&
                           (states & ORG_KDE_PLASMA_WINDOW_MANAGEMENT_STATE_MINIMIZED) == 0;
  }

  KdeManager* manager_;
};

}  // namespace

bool ListsWindows(std::string_view interface, std::uint32_t version) {
  if (interface == zwlr_foreign_toplevel_manager_v1_interface.name) return version >= kWlrVersion;
  return interface == org_kde_plasma_window_management_interface.name && version >= kKdeVersion;
}

std::string WindowListNames() {
  return fmt::format("{} version {} or {} version {}",
                     zwlr_foreign_toplevel_manager_v1_interface.name, kWlrVersion,
                     org_kde_plasma_window_management_interface.name, kKdeVersion);
}

std::unique_ptr<WaylandWindows> BindWindows(wl_registry* registry, std::uint32_t name,
                                            std::string_view interface) {
  if (interface == zwlr_foreign_toplevel_manager_v1_interface.name) {
    return std::make_unique<WlrWindows>(static_cast<WlrManager*>(wl_registry_bind(
        registry, name, &zwlr_foreign_toplevel_manager_v1_interface, kWlrVersion)));
  }
  return std::make_unique<KdeWindows>(static_cast<KdeManager*>(
      wl_registry_bind(registry, name, &org_kde_plasma_window_management_interface, kKdeVersion)));
}

}  // namespace fallow
