// A desktop's real service, started by a test on its private bus, away from this machine's own.
//
// Threading: one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow::testing {

class RealService {
 public:
  struct Options {
    std::string program;  // its name, or a path
    std::vector<std::string> arguments;
    const char* bus_name = "";             // that it serves when it is up
    std::string display;                   // of an X server
    std::vector<std::string> environment;  // "NAME=value"
    // Contents of files in its home, by their paths there.
    std::vector<std::pair<std::string, std::string>> files;
  };
  // Waits until it serves. Null, with the reason in `why_not`, if it is not installed or does not
  // start.
  static std::unique_ptr<RealService> Start(std::string& why_not, const Options& options);
  ~RealService();  // ends it
  RealService(const RealService&) = delete;
  RealService& operator=(const RealService&) = delete;

  void Signal(int number) { process_->Signal(number); }
  void Kill() { process_->Kill(); }

 private:
  explicit RealService(const char* bus_name) : bus_name_(bus_name) {}
  bool Launch(const std::string& program, const Options& options);

  const char* bus_name_;
  TemporaryFolder home_;  // outlives the process
  std::unique_ptr<ServerProcess> process_;
  pid_t process_id_ = -1;  // also when it was killed
};

}  // namespace fallow::testing
