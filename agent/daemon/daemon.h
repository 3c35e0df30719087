// The agent's daemon: lets its work session run or stop as the policy decides, and answers the
// owner's calls.
#pragma once

#include <string>

#include "agent/daemon/settings_source.h"
#include "base/result.h"

namespace fallow {

struct DaemonOptions {
  std::string state_folder;
  std::string settings_path;
  SettingOverrides overrides;
  bool whole_system = false;   // serves every login, not the one that runs it
  std::string program_folder;  // where fallow-worker and fallow-session are
  std::string log_level;
  std::string agent_version;
};

// Runs until SIGTERM, SIGINT or the local call "stop"; then gives all leases back. Where a thread
// hangs after that, in a sensor or a lookup, it does not return: the process ends with exit code 0.
// kNotFound if the agent has joined no coordinator, kAlreadyExists if it is running.
Status RunDaemon(const DaemonOptions& options);

}  // namespace fallow
