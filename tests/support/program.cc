#include "tests/support/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

extern char** environ;

namespace fallow::testing {
namespace {

pid_t Spawn(const ProgramOptions& options, int output_fd, int error_fd) {
  std::vector<std::string> arguments = options.arguments;
  if (!arguments[0].starts_with('/'))
    arguments[0] = std::string(FALLOW_BINARY_DIR) + "/bin/" + arguments[0];
  std::vector<std::string> environment = options.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  std::vector<char*> argv, envp;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  for (std::string& variable : environment) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
  pid_t process_id = -1;
  const int error = posix_spawn(&process_id, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << "cannot start " << arguments[0];
  return error == 0 ? process_id : -1;
}

int OpenLog(const std::string& path) {
  return open(path.empty() ? "/dev/null" : path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
              0600);
}

// The exit code once the process has ended; none before.
bool Reap(pid_t process_id, int flags, int* exit_code) {
  int status = 0;
  if (waitpid(process_id, &status, flags) != process_id) return false;
  *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return true;
}

}  // namespace

Program::Program(ProgramOptions options) {
  const int log = OpenLog(options.log_path);
  process_id_ = Spawn(options, log, log);
  close(log);
}

Program::~Program() {
  Kill();
}

void Program::Kill() {
  if (process_id_ < 0) return;
  int exit_code = 0;
  kill(process_id_, SIGKILL);
  Reap(process_id_, 0, &exit_code);
  process_id_ = -1;
}

int Program::Terminate() {
  if (process_id_ < 0) return -1;
  int exit_code = -1;
  kill(process_id_, SIGTERM);
  const bool ended =
      WaitUntil([&] { return Reap(process_id_, WNOHANG, &exit_code); }, std::chrono::seconds(60));
  if (!ended) {
    Kill();
    return -1;
  }
  process_id_ = -1;
  return exit_code;
}

bool Program::running() {
  int exit_code = 0;
  if (process_id_ >= 0 && Reap(process_id_, WNOHANG, &exit_code)) process_id_ = -1;
  return process_id_ >= 0;
}

Finished RunProgram(ProgramOptions options, std::chrono::seconds timeout) {
  char path[] = "/tmp/fallow-output-XXXXXX";
  const int output = mkstemp(path);
  const int log = OpenLog(options.log_path);
  Finished finished;
  const pid_t process_id = Spawn(options, output, log);
  if (process_id >= 0 &&
      !WaitUntil([&] { return Reap(process_id, WNOHANG, &finished.exit_code); }, timeout)) {
    kill(process_id, SIGKILL);
    Reap(process_id, 0, &finished.exit_code);
    ADD_FAILURE() << options.arguments[0] << " did not end within " << timeout.count() << " s";
  }
  close(log);
  close(output);
  finished.output = ReadFile(path);
  unlink(path);
  return finished;
}

bool WaitUntil(const std::function<bool()>& condition, std::chrono::seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

TemporaryFolder::TemporaryFolder(const std::string& parent) {
  std::string path = parent + "/fallow-test-XXXXXX";
  if (mkdtemp(path.data()) != nullptr) path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace fallow::testing
