#include "tests/integration/platform/real_service.h"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/integration/platform/bus_client.h"

namespace fallow::testing {
namespace {

// To start, which takes a fiftieth of that on an idle machine, and to end.
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::seconds kEndPatience{5};

// Session managers lie where no PATH leads.
std::string Find(const std::string& program) {
  const std::string in_path = FindProgram(program);
  const std::string beside = "/usr/libexec/" + program;
  return in_path.empty() && access(beside.c_str(), X_OK) == 0 ? beside : in_path;
}

}  // namespace

std::unique_ptr<RealService> RealService::Start(std::string& why_not, const Options& options) {
  const std::string program = Find(options.program);
  if (program.empty()) {
    why_not = options.program + " is not installed";
    return nullptr;
  }
  std::unique_ptr<RealService> service(new RealService(options.bus_name));
  if (service->Launch(program, options)) return service;
  why_not = options.program + " does not start here";
  return nullptr;
}

bool RealService::Launch(const std::string& program, const Options& options) {
  for (const auto& [path, text] : options.files) {
    const std::filesystem::path file = home_.path() + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // No settings of this user, and nothing that starts with this machine's desktops.
  std::vector<std::string> command = {FindProgram("env"),
                                      "-u",
                                      "SESSION_MANAGER",
                                      "HOME=" + home_.path(),
                                      "XDG_RUNTIME_DIR=" + home_.path(),
                                      "XDG_CONFIG_HOME=" + home_.path() + "/.config",
                                      "XDG_CONFIG_DIRS=" + home_.path() + "/none",
                                      "GSETTINGS_BACKEND=memory",
                                      "NO_AT_BRIDGE=1",
                                      "WAYLAND_DISPLAY=",
                                      "DISPLAY=" + options.display};
  command.insert(command.end(), options.environment.begin(), options.environment.end());
  command.push_back(program);
  command.insert(command.end(), options.arguments.begin(), options.arguments.end());
  process_ = std::make_unique<ServerProcess>(command);
  process_id_ = process_->process_id();
  BusClient client;
  return WaitUntil([&] { return client.OwnsName(bus_name_); }, kPatience);
}

// By its own way, so that it ends what it started. A session manager's socket for X11 clients stays
// behind.
RealService::~RealService() {
  if (process_ == nullptr) return;
  std::error_code ignored;
  std::filesystem::remove("/tmp/.ICE-unix/" + std::to_string(process_id_), ignored);
  process_->Signal(SIGCONT);
  process_->Signal(SIGTERM);
  BusClient client;
  WaitUntil([&] { return !client.OwnsName(bus_name_); }, kEndPatience);
}

}  // namespace fallow::testing
