// What a running daemon understands on its local socket, and how the owner's commands say it.
//
// A call is a JSON object {"call": NAME, …}; the answer is {"error": TEXT} if it failed, else what
// the handler gives.
// Pure functions.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow {

struct OwnerCallHandlers {
  std::function<std::string()> status;  // StatusJson
  std::function<std::string()> why;     // EntryText
  // None: until `resume`.
  std::function<std::string(std::optional<std::chrono::milliseconds>)> pause;
  std::function<std::string()> resume;
  std::function<std::string()> stop;
};
std::string AnswerOwnerCall(std::string_view call, const OwnerCallHandlers& handlers);

std::string SimpleCall(std::string_view name);  // "status", "why", "resume", "stop"
std::string PauseCall(std::optional<std::chrono::milliseconds> duration);

// The answer of what is done; `kept`: whether it also survives a restart.
std::string DoneAnswer(const Status& kept);
// Why what was done will not survive a restart; empty if it will.
std::string WarningOf(std::string_view answer);

// kFailedPrecondition with the daemon's words if the answer is an error.
Status CheckAnswer(std::string_view answer);

}  // namespace fallow
