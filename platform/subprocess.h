// A child process with pipes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

struct SubprocessExit {
  int code = 0;    // exit code, or -1 if killed
  int signal = 0;  // 0 unless killed by a signal
};

struct SubprocessOptions {
  std::vector<std::string> arguments;                   // [0] is the program's path
  std::vector<std::string> environment;                 // "NAME=value", added to ours
  std::function<void(ByteView)> on_output;              // its standard output
  std::function<void(std::string_view)> on_error_line;  // its standard error, by line
  std::function<void(SubprocessExit)> on_exit;          // once, after the last output
};

// Threading: the loop's thread. Callbacks stop with destruction, which kills the child (SIGKILL)
// and reaps it.
class Subprocess {
 public:
  virtual ~Subprocess() = default;
  virtual void Write(Bytes bytes) = 0;  // to its standard input; ignored once it has gone
  virtual void CloseInput() = 0;
  virtual void Kill() = 0;  // SIGKILL, at once
  virtual std::int64_t process_id() const = 0;
};

class SubprocessLauncher {
 public:
  virtual ~SubprocessLauncher() = default;
  // kNotFound if there is no such program.
  virtual Result<std::unique_ptr<Subprocess>> Launch(SubprocessOptions options) = 0;
};

}  // namespace fallow
