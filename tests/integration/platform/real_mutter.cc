#include "tests/integration/platform/real_mutter.h"

#include <signal.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <vector>

namespace fallow::testing {
namespace {

// To start, which takes a fiftieth of that on an idle machine.
constexpr std::chrono::seconds kPatience{60};
// To end; it takes its X11 sockets along.
constexpr std::chrono::seconds kEndPatience{5};
constexpr std::uint32_t kShift = 42;  // evdev's number of a key that does nothing by itself

constexpr const char* kIdleMonitor = "org.gnome.Mutter.IdleMonitor";
constexpr const char* kRemoteDesktop = "org.gnome.Mutter.RemoteDesktop";
constexpr const char* kSession = "org.gnome.Mutter.RemoteDesktop.Session";

// Of `display`: ":0".
std::string SocketOf(const std::string& display) {
  return "/tmp/.X11-unix/X" + display.substr(display.find(':') + 1);
}

}  // namespace

std::unique_ptr<RealMutter> RealMutter::Start(std::string& why_not, const Options& options) {
  if (FindProgram("mutter").empty()) {
    why_not = "mutter is not installed";
    return nullptr;
  }
  if (options.xwayland && FindProgram("Xwayland").empty()) {
    why_not = "Xwayland is not installed";
    return nullptr;
  }
  std::unique_ptr<RealMutter> mutter(new RealMutter);
  if (mutter->Launch(options)) return mutter;
  why_not = "mutter does not start here";
  return nullptr;
}

RealMutter::~RealMutter() {
  if (process_ == nullptr || x_display_.empty()) return;
  process_->Signal(SIGCONT);
  process_->Signal(SIGTERM);
  WaitUntil([this] { return !std::filesystem::exists(SocketOf(x_display_)); }, kEndPatience);
}

bool RealMutter::Launch(const Options& options) {
  std::vector<std::string> command = {
      FindProgram("env"),       "XDG_RUNTIME_DIR=" + folder_.path(),
      "HOME=" + folder_.path(), "GSETTINGS_BACKEND=memory",
      "NO_AT_BRIDGE=1",         "LIBGL_ALWAYS_SOFTWARE=1",
      "WAYLAND_DISPLAY=",       "DISPLAY=" + options.manages_display,
      FindProgram("mutter")};
  const bool is_compositor = options.manages_display.empty();
  for (const char* argument :
       {"--headless", "--virtual-monitor", "1280x720", "--wayland-display", "mutter"}) {
    if (is_compositor) command.emplace_back(argument);
  }
  if (!is_compositor) command.insert(command.end(), {"--x11", "--sm-disable"});
  if (is_compositor && !options.xwayland) command.emplace_back("--no-x11");
  if (options.xwayland) {
    // The program that it starts is told how to reach XWayland; when it ends, so does Mutter.
    command.insert(command.end(), {"--", "/bin/sh", "-c",
                                   "echo $DISPLAY $XAUTHORITY > '" + folder_.path() +
                                       "/x'; exec setpriv --pdeathsig KILL sleep infinity"});
  }
  process_ = std::make_unique<ServerProcess>(command);
  return WaitUntil(
             [&] {
               return caller_.OwnsName(kIdleMonitor) && caller_.OwnsName(kRemoteDesktop) &&
                      (!is_compositor || std::filesystem::is_socket(wayland_socket())) &&
                      (!options.xwayland || ReadXDisplay());
             },
             kPatience) &&
         TakeHold();
}

bool RealMutter::ReadXDisplay() {
  const std::string told = ReadFile(folder_.path() + "/x");
  if (!told.ends_with('\n')) return false;
  std::istringstream(told) >> x_display_ >> x_authority_;
  return !x_display_.empty();
}

bool RealMutter::TakeHold() {
  const Message answer = caller_.Call(kRemoteDesktop, "/org/gnome/Mutter/RemoteDesktop",
                                      kRemoteDesktop, "CreateSession");
  const char* path = nullptr;
  if (answer == nullptr || sd_bus_message_read(answer.get(), "o", &path) <= 0) return false;
  hand_ = path;
  return Hand("Start");
}

template <class... Arguments>
bool RealMutter::Hand(const char* method, const char* types, Arguments... arguments) {
  return caller_.Call(kRemoteDesktop, hand_, kSession, method, types, arguments...) != nullptr;
}

bool RealMutter::MovePointer() {
  step_ = -step_;
  return Hand("NotifyPointerMotionRelative", "dd", static_cast<double>(step_), 0.0);
}

bool RealMutter::PressKey() {
  return Hand("NotifyKeyboardKeycode", "ub", kShift, 1) &&
         Hand("NotifyKeyboardKeycode", "ub", kShift, 0);
}

}  // namespace fallow::testing
