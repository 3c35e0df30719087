#include "tests/integration/systemd/machine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace fallow::testing {

Finished RunShell(const std::string& command) {
  Finished finished;
  FILE* const output = popen((command + " 2>&1 </dev/null").c_str(), "re");
  if (output == nullptr) return finished;
  char part[4096];
  while (const std::size_t size = fread(part, 1, sizeof part, output))
    finished.output.append(part, size);
  const int status = pclose(output);
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return finished;
}

namespace {

constexpr const char* kInside = "FALLOW_TEST_INSIDE_MACHINE";
constexpr const char* kSystemd = "/lib/systemd/systemd";
// Every such machine has it, and no other. What is done in there (suspend, stop, mask) is not for
// the system that we run on, even should the machine be gone and its process id be another's.
constexpr const char* kMark = "/etc/systemd/system/machine.target";
constexpr int kNotInside = 125;

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string Lacking() {
  if (geteuid() != 0) {
    return "a machine of systemd's own needs root: sudo ctest --preset release -R "
           "'AgentUnit|AgentSandbox|RealLogind'";
  }
  if (access(kSystemd, X_OK) != 0) return "systemd is not installed";
  if (access("/lib/systemd/system/dbus.service", R_OK) != 0) return "dbus is not installed";
  if (RunShell("ls /lib/*/security/pam_systemd.so").exit_code != 0)
    return "libpam-systemd is not installed";
  for (const char* program : {"unshare", "nsenter", "setpriv", "findmnt", "dbus-daemon"}) {
    if (FindProgram(program).empty()) return fmt::format("{} is not installed", program);
  }
  const Finished spaces = RunShell("unshare --mount --pid --fork --cgroup --uts --ipc true");
  if (spaces.exit_code != 0)
    return "this system gives us no namespaces of our own: " + spaces.output;
  return "";
}

}  // namespace

Machine::~Machine() {
  if (process_ == nullptr) return;
  process_->Signal(SIGTERM);
  process_->AwaitAnnouncement();  // the end of them
}

std::string Machine::Boot() {
  if (std::string lacking = Lacking(); !lacking.empty()) return lacking;
  process_ = std::make_unique<ServerProcess>(
      std::vector<std::string>{FindProgram("setpriv"), "--pdeathsig", "TERM", FindProgram("bash"),
                               FALLOW_SOURCE_DIR "/tests/integration/systemd/machine.sh",
                               folder_.path(), FALLOW_SOURCE_DIR, FALLOW_BINARY_DIR});
  init_ = process_->AwaitAnnouncement();
  bool up = false;
  const auto is_settled = [&] {
    const Finished asked = Run("systemctl is-system-running");
    up = asked.output == "running\n" || asked.output == "degraded\n";
    return up || asked.exit_code == kNotInside || !std::filesystem::exists("/proc/" + init_) ||
           Console().contains("Freezing");
  };
  if (!init_.empty()) WaitUntil(is_settled, std::chrono::seconds(60));
  return up ? "" : "systemd does not come up in namespaces here: " + Console();
}

// Its root is named, for where we run in a changed root ourselves that of its mounts is another.
Finished Machine::Run(const std::string& command, std::chrono::seconds limit) {
  return RunShell(fmt::format(
      "timeout --kill-after=1 {} nsenter --target {} --mount --pid --cgroup --uts "
      "--ipc --root --wd "
      "env -i PATH=/usr/sbin:/usr/bin HOME=/root sh -c {}",
      limit.count(), init_,
      Quoted(fmt::format("test -e {} || exit {}\numask 022\n{}", kMark, kNotInside, command))));
}

std::string Machine::Output(const std::string& command) {
  std::string output = Run(command).output;
  while (output.ends_with('\n')) output.pop_back();
  return output;
}

bool Machine::Becomes(const std::string& command, std::chrono::seconds limit) {
  return WaitUntil([&] { return Run(command).exit_code == 0; }, limit);
}

std::string Machine::Journal() {
  return Run("journalctl --no-pager --lines=60 --output=short-monotonic").output;
}

std::string Machine::Console() const {
  return ReadFile(folder_.path() + "/console");
}

std::string Machine::Read(const std::string& path) {
  return ReadFile(fmt::format("/proc/{}/root{}", init_, path));
}

void Machine::LogIn(const std::string& variables) {
  const Finished login =
      Run(fmt::format("systemd-run --quiet --collect --property=PAMName=login --property=User=anna "
                      "--property=Environment={} sleep infinity",
                      Quoted(variables)));
  ASSERT_EQ(login.exit_code, 0) << login.output;
  ASSERT_TRUE(Becomes("loginctl list-sessions --no-legend | grep -q anna")) << Journal();
}

bool InsideMachine() {
  return std::getenv(kInside) != nullptr && access(kMark, F_OK) == 0;
}

void RunThisTestInside(Machine& machine) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const Finished inside =
      machine.Run(fmt::format("{}=1 {} --gtest_filter={}.{} --gtest_color=no", kInside,
                              Quoted(std::filesystem::read_symlink("/proc/self/exe")),
                              test->test_suite_name(), test->name()),
                  std::chrono::seconds(180));
  EXPECT_EQ(inside.exit_code, 0) << inside.output << machine.Journal();
  EXPECT_NE(inside.output.find("[  PASSED  ] 1 test"), std::string::npos) << inside.output;
}

}  // namespace fallow::testing
