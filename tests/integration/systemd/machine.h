// A machine that systemd runs, in namespaces of its own: the real process 1, logind, message bus
// and user managers, with Fallow installed. See machine.sh.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow::testing {

// A shell's command of this system, with nothing to read; its exit code and all that it printed.
Finished RunShell(const std::string& command);

class Machine {
 public:
  Machine() = default;
  ~Machine();  // every process of it is killed, its control groups are removed
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Empty once it runs; else why this system cannot have such a machine.
  std::string Boot();

  // A shell's command as root inside, with nothing to read; its exit code and all that it printed.
  // 124: it did not end within `limit`.
  Finished Run(const std::string& command, std::chrono::seconds limit = std::chrono::seconds(60));
  // What it prints, without the last line's end.
  std::string Output(const std::string& command);
  // Looks until the command succeeds.
  bool Becomes(const std::string& command, std::chrono::seconds limit = std::chrono::seconds(60));
  // What its services said lately, for failure messages.
  std::string Journal();

  // Reads a file of the machine by its absolute path.
  std::string Read(const std::string& path);

  // Logs `anna` in by pam_systemd, as a display manager or sshd does, until the machine ends.
  // `variables`: what tells PAM of the login ("XDG_SESSION_TYPE=wayland").
  void LogIn(const std::string& variables);

 private:
  std::string Console() const;  // what its process 1 says

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> process_;
  std::string init_;  // the id of its process 1 as we see it
};

// True inside a machine, where the test's claims are to be looked at.
bool InsideMachine();
// The running test again, inside the machine: what it finds there are the failures of this one.
void RunThisTestInside(Machine& machine);

// The body runs as root inside a machine of its own, with that machine's process ids, buses and
// files; where there can be none the test is skipped.
#define TEST_INSIDE_MACHINE(suite, name)                                           \
  void suite##_##name##_Inside();                                                  \
  TEST(suite, name) {                                                              \
    if (::fallow::testing::InsideMachine()) return suite##_##name##_Inside();      \
    ::fallow::testing::Machine machine;                                            \
    if (const std::string why = machine.Boot(); !why.empty()) GTEST_SKIP() << why; \
    ::fallow::testing::RunThisTestInside(machine);                                 \
  }                                                                                \
  void suite##_##name##_Inside()

}  // namespace fallow::testing
