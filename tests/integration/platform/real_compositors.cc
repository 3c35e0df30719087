#include "tests/integration/platform/real_compositors.h"

#include <sys/stat.h>
#include <unistd.h>
#include <wayland-client.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "generated/wayland/kde_fake_input_client.h"
#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow::testing {
namespace {

// To start: both take less than 2 s on an idle machine.
constexpr std::chrono::seconds kPatience{60};
constexpr unsigned kNobody = 65534;
// KWin reads the program of each client several times over before it greets it, at about 9 ms a
// megabyte. One with a sanitizer and its symbols is too large to be greeted in 200 ms.
constexpr std::uintmax_t kMaxProgramBytes = 8 << 20;

// A compositor's process and the private folder of its sockets.
class Host {
 public:
  // `command` after `environment`, "NAME=value" each.
  void Start(std::vector<std::string> environment, const std::vector<std::string>& command) {
    std::vector<std::string> arguments = {
        FindProgram("env"), "XDG_RUNTIME_DIR=" + folder(), "HOME=" + folder(),
        "DBUS_SESSION_BUS_ADDRESS=unix:path=" + folder() + "/no-bus"};
    arguments.insert(arguments.end(), environment.begin(), environment.end());
    arguments.insert(arguments.end(), command.begin(), command.end());
    process_ = std::make_unique<ServerProcess>(arguments);
  }
  bool AwaitSocket(const std::string& path) {
    return WaitUntil([&] { return std::filesystem::is_socket(path); }, kPatience);
  }
  const std::string& folder() const { return folder_.path(); }
  ServerProcess& process() { return *process_; }

 private:
  TemporaryFolder folder_;  // outlives the process
  std::unique_ptr<ServerProcess> process_;
};

class Sway : public RealCompositor {
 public:
  std::string name() const override { return "sway"; }
  std::string protocol() const override { return "org_kde_kwin_idle"; }
  std::string socket_path() const override { return host_.folder() + "/wayland-1"; }

  bool Start() {
    const std::string config = host_.folder() + "/config";
    std::ofstream(config) << "xwayland disable\n";
    std::vector<std::string> command = {FindProgram("sway"), "-c", config};
    if (geteuid() == 0) {
      // Sway does not run as root.
      if (chown(host_.folder().c_str(), kNobody, kNobody) != 0 ||
          chown(config.c_str(), kNobody, kNobody) != 0)
        return false;
      const std::string nobody = std::to_string(kNobody);
      command.insert(command.begin(), {FindProgram("setpriv"), "--reuid", nobody, "--regid", nobody,
                                       "--clear-groups"});
    }
    host_.Start({"WLR_BACKENDS=headless", "WLR_LIBINPUT_NO_DEVICES=1", "WLR_RENDERER=pixman",
                 "WAYLAND_DISPLAY=", "SWAYSOCK=" + host_.folder() + "/ipc"},
                command);
    return host_.AwaitSocket(socket_path());
  }
  bool Touch() override {
    step_ = -step_;
    const std::string move = "timeout 10 swaymsg -q -s " + host_.folder() +
                             "/ipc 'seat - cursor move " + std::to_string(step_) + " 0'";
    return std::system(move.c_str()) == 0;
  }
  void Signal(int number) override { host_.process().Signal(number); }
  void Kill() override { host_.process().Kill(); }

 private:
  Host host_;
  int step_ = 10;  // pixels, to and fro
};

// Moves KWin's pointer.
class FakeInput {
 public:
  bool Connect(const std::string& path) {
    display_ = wl_display_connect(path.c_str());
    if (display_ == nullptr) return false;
    static constexpr wl_registry_listener kListener = {
        .global =
            [](void* self, wl_registry* registry, std::uint32_t name, const char* interface,
               std::uint32_t) {
              if (std::strcmp(interface, org_kde_kwin_fake_input_interface.name) == 0) {
                static_cast<FakeInput*>(self)->input_ = static_cast<org_kde_kwin_fake_input*>(
                    wl_registry_bind(registry, name, &org_kde_kwin_fake_input_interface, 1));
              }
            },
        .global_remove = [](void*, wl_registry*, std::uint32_t) {},
    };
    registry_ = wl_display_get_registry(display_);
    wl_registry_add_listener(registry_, &kListener, this);
    if (wl_display_roundtrip(display_) < 0 || input_ == nullptr) return false;
    org_kde_kwin_fake_input_authenticate(input_, "fallow", "test");
    return wl_display_roundtrip(display_) >= 0;
  }
  FakeInput() = default;
  ~FakeInput() {
    if (input_ != nullptr) org_kde_kwin_fake_input_destroy(input_);
    if (registry_ != nullptr) wl_registry_destroy(registry_);
    if (display_ != nullptr) wl_display_disconnect(display_);
  }
  FakeInput(const FakeInput&) = delete;
  FakeInput& operator=(const FakeInput&) = delete;

  bool connected() const { return input_ != nullptr; }
  bool Move() {
    step_ = -step_;
    org_kde_kwin_fake_input_pointer_motion(input_, wl_fixed_from_int(step_), 0);
    return wl_display_flush(display_) >= 0;
  }

 private:
  wl_display* display_ = nullptr;
  wl_registry* registry_ = nullptr;
  org_kde_kwin_fake_input* input_ = nullptr;
  int step_ = 10;  // pixels, to and fro
};

class KWin : public RealCompositor {
 public:
  std::string name() const override { return "kwin"; }
  std::string protocol() const override { return "ext_idle_notifier_v1"; }
  std::string socket_path() const override { return host_.folder() + "/kwin"; }

  bool Start(const std::string& data_folder) {
    // A copy: the system's carries a capability, with which a container may not start it. Its name
    // is that by which it knows itself.
    const std::string copy = host_.folder() + "/kwin_wayland";
    std::filesystem::copy_file(FindProgram("kwin_wayland"), copy);
    const bool trusts_all = data_folder.empty();
    host_.Start(
        {trusts_all ? "KWIN_WAYLAND_NO_PERMISSION_CHECKS=1" : "XDG_DATA_DIRS=" + data_folder,
         "LIBGL_ALWAYS_SOFTWARE=1", "WAYLAND_DISPLAY=", "DISPLAY="},
        {copy, "--virtual", "--no-lockscreen", "--no-global-shortcuts", "--socket", "kwin"});
    if (!host_.AwaitSocket(socket_path())) return false;
    return !trusts_all || WaitUntil([this] { return hand_.Connect(socket_path()); }, kPatience);
  }
  bool Touch() override { return hand_.connected() && hand_.Move(); }
  void Signal(int number) override { host_.process().Signal(number); }
  void Kill() override { host_.process().Kill(); }

 private:
  Host host_;
  FakeInput hand_;
};

}  // namespace

std::unique_ptr<RealCompositor> StartSway(std::string& why_not) {
  for (const char* program : {"sway", "swaymsg", "setpriv"}) {
    if (!FindProgram(program).empty()) continue;
    why_not = std::string(program) + " is not installed";
    return nullptr;
  }
  auto sway = std::make_unique<Sway>();
  if (sway->Start()) return sway;
  why_not = "sway does not start here";
  return nullptr;
}

std::unique_ptr<RealCompositor> StartKWin(std::string& why_not, const std::string& data_folder) {
  if (FindProgram("kwin_wayland").empty()) {
    why_not = "kwin_wayland is not installed";
    return nullptr;
  }
  if (std::filesystem::file_size("/proc/self/exe") > kMaxProgramBytes) {
    why_not =
        "this program is so large that KWin takes too long to look at it: build it for release";
    return nullptr;
  }
  auto kwin = std::make_unique<KWin>();
  if (kwin->Start(data_folder)) return kwin;
  why_not = "kwin_wayland does not start here";
  return nullptr;
}

}  // namespace fallow::testing
