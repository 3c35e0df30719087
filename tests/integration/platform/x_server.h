// An X server without a screen, for one test.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/platform/server_process.h"

namespace fallow::testing {

struct XServer {
  std::unique_ptr<ServerProcess> process;
  std::string display;  // ":4000"; empty if it did not start
};

// Of no other test that runs now. Were it the lowest free number, the next test to start would take
// it as soon as this one has killed its server, and clients would find that one there.
inline std::string OwnDisplay() {
  constexpr int kFirst = 1'000, kServersOfATest = 4, kProcesses = 12'000;
  static int started = 0;
  return ":" + std::to_string(kFirst + getpid() % kProcesses * kServersOfATest +
                              started++ % kServersOfATest);
}

// `more`: options of Xvfb, which must be installed.
inline XServer StartXServer(const std::vector<std::string>& more = {}) {
  XServer server;
  // A killed server leaves a lock with its process id, which may be another process's by now.
  for (int tries = 0; tries < 3 && server.display.empty(); ++tries) {
    const std::string display = OwnDisplay();
    std::vector<std::string> command = {
        FindProgram("Xvfb"), display,     "-displayfd", "3", "-screen", "0",
        "640x480x24",        "-nolisten", "tcp"};
    command.insert(command.end(), more.begin(), more.end());
    server.process = std::make_unique<ServerProcess>(command);
    if (!server.process->AwaitAnnouncement().empty()) server.display = display;
  }
  return server;
}

}  // namespace fallow::testing
