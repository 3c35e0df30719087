// The agent's daemon: watches presence, lets its work session run or stop, and answers local calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/idle_policy.h"
#include "base/result.h"

namespace fallow {

struct DaemonOptions {
  std::string state_folder;
  IdleSettings idle;
  std::uint64_t cache_bytes = 0;
  std::vector<std::string> worker_command;
  std::string agent_version;
};

// Runs until SIGTERM, SIGINT or the local call "stop"; then gives all leases back. kNotFound if the
// agent has joined no coordinator, kAlreadyExists if it is running.
Status RunDaemon(const DaemonOptions& options);

// What a running daemon understands on its socket.
inline constexpr std::string_view kStatusCall = R"({"call": "status"})";
inline constexpr std::string_view kStopCall = R"({"call": "stop"})";

}  // namespace fallow
