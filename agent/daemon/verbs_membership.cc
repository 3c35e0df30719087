// fallow-agent join, leave, run, and what the other verbs share.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/join.h"
#include "agent/daemon/join_link.h"
#include "agent/daemon/owner_calls.h"
#include "agent/daemon/status_report.h"
#include "agent/daemon/verbs.h"
#include "base/log.h"
#include "platform/local_socket.h"
#include "platform/paths.h"

namespace fallow {
namespace {

int ExitCodeOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kUnimplemented:
      return kExitRefused;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kExitUnreachable;
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

// The agent's answer to being told to stop. One that hangs up instead is ending already, or has no
// room for a moment: it is asked again.
Result<std::string> TellToStop(const std::string& socket_path) {
  constexpr std::chrono::milliseconds kPatience{5'000}, kMoment{50};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  auto stopped = CallLocal(socket_path, SimpleCall("stop"));
  while (!stopped && stopped.error().code == ErrorCode::kResourceExhausted &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kMoment);
    stopped = CallLocal(socket_path, SimpleCall("stop"));
  }
  return stopped;
}

}  // namespace

void PrintText(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

int Flushed(int code) {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (!failed || code != kExitOk) return code;
  return FailWith({ErrorCode::kDataLoss, "not all of the answer could be written"}, kExitFailed);
}

int FailWith(const Error& error, int code) {
  std::fprintf(stderr, "fallow-agent: %s\n", error.message.c_str());
  return code;
}

Result<AgentAnswer> AskDaemon(const VerbOptions& options, std::string_view call, int* exit_code) {
  const StateFolder folder(options.state_folder);
  auto answer = AskAgent(
      {.own = folder.socket_path(), .machine = options.any_agent ? kMachineAgentSocket : ""}, call,
      [](const std::string& socket, std::string_view asked) { return CallLocal(socket, asked); });
  *exit_code = answer ? kExitOk : kExitFailed;
  if (answer || answer.error().code != ErrorCode::kUnavailable) return answer;
  *exit_code = kExitNotJoined;
  FALLOW_ASSIGN_OR_RETURN(const Membership membership, folder.LoadMembership());
  *exit_code = kExitNotRunning;
  return Fail(
      ErrorCode::kUnavailable,
      fmt::format(
          "no agent is running for {} (joined to {} as {}): start it with `fallow-agent run`",
          folder.path(), membership.coordinator_url, membership.device.value));
}

Result<std::string> MeantSettings(const VerbOptions& options) {
  const bool has_own = StateFolder(options.state_folder).LoadMembership().has_value();
  if (!options.any_agent || !options.any_settings || has_own) return options.settings_path;
  int code = kExitOk;
  const auto status = AskDaemon(options, SimpleCall("status"), &code);
  if (!status && code == kExitFailed) {
    return Fail(status.error().code,
                status.error().message + ", or name its settings file with --settings");
  }
  return status && status->of_machine ? SettingsPathIn(status->text) : options.settings_path;
}

int JoinVerb(const VerbOptions& options) {
  const auto link = ParseJoinLink(options.link);
  if (!link) return FailWith(link.error(), kExitUsage);
  const StateFolder folder(options.state_folder);
  const auto membership = Join(*link, folder, FALLOW_VERSION);
  if (!membership) return FailWith(membership.error(), ExitCodeOf(membership.error()));
  PrintOut("joined {} as {}\n", membership->coordinator_url, membership->device.value);
  if (CallLocal(folder.socket_path(), SimpleCall("status"))) {
    PrintOut("an agent is already running: restart it, so that it works for this coordinator\n");
  } else {
    PrintOut("start it with `fallow-agent run`\n");
  }
  return kExitOk;
}

int LeaveVerb(const VerbOptions& options) {
  const StateFolder folder(options.state_folder);
  const auto membership = folder.LoadMembership();
  if (!membership && membership.error().code == ErrorCode::kNotFound) {
    return FailWith(membership.error(), kExitNotJoined);
  }
  const auto stopped = TellToStop(folder.socket_path());
  // One that goes on would work for a coordinator of which this folder knows nothing any more.
  if (!stopped && IsThere(stopped.error())) {
    const auto error = Wrap(stopped.error(), "nothing was left: the agent does not stop; end it");
    return FailWith(error.error(), kExitFailed);
  }
  const bool was_running = stopped.has_value();
  if (auto status = folder.Forget(); !status) return FailWith(status.error(), kExitFailed);
  PrintOut("left{}{}; models stay in {} until you remove them\n",
           membership ? " " + membership->coordinator_url : "",
           was_running ? ", and the agent is stopping" : "", folder.models_path());
  return kExitOk;
}

int RunVerb(const VerbOptions& options) {
  if (auto status = SetUpLog("fallow-agent", options.log_level); !status)
    return FailWith(status.error(), kExitUsage);
  DaemonOptions daemon;
  daemon.state_folder = options.state_folder;
  // It is told to commands, which run elsewhere.
  std::error_code no_folder;
  const auto settings_path = std::filesystem::absolute(options.settings_path, no_folder);
  daemon.settings_path = no_folder ? options.settings_path : settings_path.string();
  daemon.overrides = options.overrides;
  daemon.whole_system = options.whole_system;
  daemon.program_folder = ProgramDirectory();
  daemon.log_level = options.log_level;
  daemon.agent_version = FALLOW_VERSION;
  const Status status = RunDaemon(daemon);
  if (status) return kExitOk;
  if (CallLocal(StateFolder(options.state_folder).socket_path(), SimpleCall("status"))) {
    return FailWith(
        {status.error().code,
         fmt::format("an agent runs already for {}: `fallow-agent status` tells what it "
                     "does",
                     options.state_folder)},
        kExitFailed);
  }
  return FailWith(status.error(),
                  status.error().code == ErrorCode::kNotFound ? kExitNotJoined : kExitFailed);
}

}  // namespace fallow
