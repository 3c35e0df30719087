// The commands of fallow-agent, after their words are parsed: each prints what it has to say and
// returns the program's exit code.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/daemon/ask_agent.h"
#include "agent/daemon/daemon.h"
#include "agent/daemon/settings_source.h"
#include "base/result.h"

namespace fallow {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNotJoined = 3,
  kExitRefused = 4,
  kExitUnreachable = 5,
  kExitNotRunning = 6,
};

struct VerbOptions {
  std::string state_folder;
  std::string settings_path;
  // It was not named: where the user runs no agent, the one of the whole machine is meant.
  bool any_agent = false;
  bool any_settings = false;  // likewise
  std::string log_level = "info";
  bool json = false;
  // join
  std::string link;
  // run
  SettingOverrides overrides;
  bool whole_system = false;
  // pause: the words of "30m" or "until 18:00"; none: until resume
  std::vector<std::string> duration;
  // why, log: times that were, as typed; none: now, or everything
  std::optional<std::string> at, since;
  std::optional<std::size_t> max_entries;  // none: 20, or everything since `since`
  bool verify = false;
  // limits
  std::string key, value;  // to change; without a key all are shown
  bool shows_one = false;  // the one of that key; nothing is changed
  bool print_defaults = false;
};

int JoinVerb(const VerbOptions& options);
int LeaveVerb(const VerbOptions& options);
int RunVerb(const VerbOptions& options);
int StatusVerb(const VerbOptions& options);
int PauseVerb(const VerbOptions& options);
int ResumeVerb(const VerbOptions& options);
int WhyVerb(const VerbOptions& options);
int LogVerb(const VerbOptions& options);
int LimitsVerb(const VerbOptions& options);
int DoctorVerb(const VerbOptions& options);

// For the verbs' own files.
// The settings file that is meant: the named one, the own one of a user who has joined, else the
// one that the whole machine's agent follows. Fails where that agent does not tell this user.
Result<std::string> MeantSettings(const VerbOptions& options);
// On standard output. What cannot be written there is found by Flushed.
void PrintText(std::string_view text);
template <class... Arguments>
void PrintOut(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  PrintText(fmt::format(format, std::forward<Arguments>(arguments)...));
}
// `code`, or kExitFailed and a word on standard error if not all of standard output was written.
int Flushed(int code);
// Says the error and returns `code`.
int FailWith(const Error& error, int code);
// Asks the running daemon. Where there is none, the error says how to start it, and `*exit_code`
// whether it has not even joined.
Result<AgentAnswer> AskDaemon(const VerbOptions& options, std::string_view call, int* exit_code);

}  // namespace fallow
