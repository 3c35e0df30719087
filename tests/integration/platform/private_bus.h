// A message bus of the test's own, which takes the place of the session's and the system's.
#pragma once

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow::testing {

class PrivateBus {
 public:
  ~PrivateBus() {
    unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
    unsetenv("DBUS_SESSION_BUS_ADDRESS");
  }

  // Empty, or why a test of a bus is to be skipped.
  static std::string Lacking() {
    return FindProgram("dbus-daemon").empty() ? "dbus-daemon is not installed" : "";
  }

  // Also anew, at the same address, after Kill. False: it does not start.
  bool Start() {
    const std::string config = folder_.path() + "/bus.conf";
    const std::string socket = folder_.path() + "/bus";
    std::filesystem::remove(socket);
    std::ofstream(config) << "<busconfig><type>session</type><listen>unix:path=" << socket
                          << "</listen><policy context=\"default\"><allow send_destination=\"*\"/>"
                             "<allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>";
    process_ = std::make_unique<ServerProcess>(
        std::vector<std::string>{FindProgram("dbus-daemon"), "--nofork", "--nopidfile",
                                 "--config-file=" + config, "--print-address=3"});
    if (process_->AwaitAnnouncement().empty()) return false;
    setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + socket).c_str(), 1);
    setenv("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + socket).c_str(), 1);
    return true;
  }
  void Kill() { process_->Kill(); }
  void Signal(int number) { process_->Signal(number); }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> process_;
};

}  // namespace fallow::testing
