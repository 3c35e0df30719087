// A server of the system (Xvfb, dbus-daemon), started by a test and killed at its end.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

extern char** environ;

namespace fallow::testing {

// Where `name` is, by PATH; empty if there is none.
inline std::string FindProgram(const std::string& name) {
  const char* path = getenv("PATH");
  std::string rest = std::string(path != nullptr ? path : "") + ":/usr/bin:/usr/local/bin";
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string candidate = rest.substr(0, colon) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return "";
}

// The server's descriptor 3 is a pipe to us, on which it announces where it can be reached.
class ServerProcess {
 public:
  explicit ServerProcess(std::vector<std::string> arguments) {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 3);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    if (posix_spawn(&process_id_, pointers[0], &actions, nullptr, pointers.data(), environ) != 0) {
      process_id_ = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    announcement_ = ends[0];
  }
  ~ServerProcess() {
    Kill();
    if (announcement_ >= 0) close(announcement_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // One line, without its end; empty if it does not come within 60 s.
  std::string AwaitAnnouncement() {
    std::string line;
    pollfd readable{.fd = announcement_, .events = POLLIN, .revents = 0};
    char byte = 0;
    while (poll(&readable, 1, 60'000) == 1 && read(announcement_, &byte, 1) == 1) {
      if (byte == '\n') return line;
      line += byte;
    }
    return "";
  }
  // To one that did not start or was killed: nothing. To kill, -1 is every process there is.
  void Signal(int number) {
    if (process_id_ > 0) kill(process_id_, number);
  }
  pid_t process_id() const { return process_id_; }
  void Kill() {
    if (process_id_ <= 0) return;
    kill(process_id_, SIGKILL);
    waitpid(process_id_, nullptr, 0);
    process_id_ = -1;
  }

 private:
  pid_t process_id_ = -1;
  int announcement_ = -1;
};

}  // namespace fallow::testing
