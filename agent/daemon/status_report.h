// What `fallow-agent status` tells: what the agent is doing, and why.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/policy_entry.h"
#include "agent/daemon/session_desk.h"
#include "agent/daemon/work_session.h"
#include "agent/daemon/yield_stats.h"
#include "base/result.h"
#include "protocol/agent_messages.h"

namespace fallow {

struct StatusReport {
  DeviceStatus status;
  DeviceProfile profile;
  DeviceId device;
  std::string coordinator_url;
  std::string coordinator_trouble;  // of the last call; empty if it succeeded
  std::optional<std::chrono::seconds> coordinator_heard_ago;
  PolicyEntry decided;  // the last decision, with all it was made of
  std::vector<SessionDesk::HelperView> helpers;
  std::string settings_path;
  bool whole_system = false;  // serves every login of the machine
  std::vector<WorkSession::LeaseView> leases;
  std::uint64_t finished_request_count = 0;
  std::uint64_t generated_token_count = 0;
  std::string worker_state;
  std::optional<std::int64_t> worker_process_id;
  int worker_loss_count = 0;
  std::string worker_trouble;
  YieldStats::Summary yields;
  std::uint64_t cache_bytes = 0;
  std::uint64_t cache_max_bytes = 0;
};

// The daemon's answer, and `status --json`.
std::string StatusJson(const StatusReport& report);
// From what the daemon answered; empty if that is not such a report.
std::string SettingsPathIn(std::string_view json);
// The state in a word for people: what nobody paused "waits". Empty if that is no status.
std::string StateWordIn(std::string_view json);
// What keeps an agent that may work from working, as its status tells: "idle: waiting for work",
// "faulty: the disk is full"; empty if it works, if it may not, or if that is no status.
std::string HeldUpBy(std::string_view json);
// For people, from what the daemon answered. kDataLoss if that is not such a report.
Result<std::string> StatusText(std::string_view json);

}  // namespace fallow
