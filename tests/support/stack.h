// A coordinator, an agent and a signed-in command line in a temporary folder: the whole product on
// one machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace fallow::testing {

struct StackOptions {
  std::string backend = "cpu";  // "cpu" or "vulkan"
  std::vector<std::string> agent_arguments;
  bool dedicated = true;  // the agent's machine has no owner
  std::vector<std::string> agent_environment;
};

// Each Start and Run fails the running test when it does not work, with the end of the program's
// log.
class Stack {
 public:
  explicit Stack(StackOptions options = {});

  void StartCoordinator();  // again on the same folder and port after a Kill
  void StartAgent();        // joins the first time
  void LogIn();             // the command line, as the operator of the first start
  void AddDemoModel();

  Finished Run(std::vector<std::string> fallow_arguments,
               std::chrono::seconds timeout = std::chrono::seconds(60));

  Program& coordinator() { return *coordinator_; }
  Program& agent() { return *agent_; }
  const std::string& join_link() const { return join_link_; }
  const std::string& folder() const { return folder_.path(); }
  std::string Logs() const;  // the last lines of everything, for failure messages

 private:
  std::string At(const std::string& name) const { return folder_.path() + "/" + name; }

  StackOptions options_;
  TemporaryFolder folder_;
  std::string listen_ = "127.0.0.1:0";
  std::string sign_in_link_, join_link_;
  std::unique_ptr<Program> coordinator_, agent_;
};

}  // namespace fallow::testing
