// A real program of ours, started by an integration test: with a log file, killed when the test
// ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace fallow::testing {

struct ProgramOptions {
  std::vector<std::string> arguments;    // [0]: a name in the build's bin folder, or a path
  std::vector<std::string> environment;  // "NAME=value", added to ours
  std::string log_path;                  // standard output and error, appended
};

// Fails the running test if the program cannot be started.
class Program {
 public:
  explicit Program(ProgramOptions options);
  ~Program();  // SIGKILL and wait
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Kill();      // SIGKILL, and waits until it is gone
  int Terminate();  // SIGTERM, and waits; its exit code, or -1 if it had to be killed after 60 s
  bool running();
  pid_t process_id() const { return process_id_; }

 private:
  pid_t process_id_ = -1;
};

struct Finished {
  int exit_code = -1;
  std::string output;  // standard output alone
};
// Runs a program to its end, at most `timeout`.
Finished RunProgram(ProgramOptions options,
                    std::chrono::seconds timeout = std::chrono::seconds(60));

// Looks every 20 ms until `condition` holds; false after `timeout`. For other processes' states
// only.
bool WaitUntil(const std::function<bool()>& condition, std::chrono::seconds timeout);

// A folder with a name that nobody can know before, removed with its contents at the end.
class TemporaryFolder {
 public:
  // Where there is no `parent`, it is none, and its path is empty.
  explicit TemporaryFolder(const std::string& parent);
  TemporaryFolder() : TemporaryFolder("/tmp") {}
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);  // empty if there is none

}  // namespace fallow::testing
