// What a running daemon understands on its local sockets and from whom, and how the owner's
// commands say it.
//
// A call is a JSON object {"call": NAME, …}; the answer is {"error": TEXT} if it failed, else what
// the handler gives. Pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/local_socket.h"

namespace fallow {

// Where an agent of the whole machine answers whoever sits there.
inline constexpr const char* kMachineAgentSocket = "/run/fallow/agent.sock";

enum class Caller : std::uint8_t {
  kStranger,  // may nothing
  kAtSeat,    // sits at this machine: may look, pause, and resume what was paused there
  kMaster,    // root and the agent's own user: may everything
};
// `sits_here`: whether a user is logged in at a seat of this machine.
Caller CallerOf(const LocalPeer& peer, const std::function<bool(std::int64_t user_id)>& sits_here);

struct OwnerCallHandlers {
  std::function<std::string()> status;  // StatusJson
  std::function<std::string()> why;     // EntryText
  // The lines of the explain log, at most kMaxPolicyLogTextBytes.
  std::function<std::string()> log;
  // None: until `resume`.
  std::function<std::string(std::optional<std::chrono::milliseconds>)> pause;
  std::function<std::string()> resume;
  std::function<std::string()> stop;
};
std::string AnswerOwnerCall(std::string_view call, Caller caller,
                            const OwnerCallHandlers& handlers);

std::string SimpleCall(std::string_view name);  // "status", "why", "log", "resume", "stop"
std::string PauseCall(std::optional<std::chrono::milliseconds> duration);

// The answer of a call that failed.
std::string ErrorAnswer(std::string_view text);
// The answer of what is done; `kept`: whether it also survives a restart; `note`: what else whoever
// asked should know, if anything.
std::string DoneAnswer(const Status& kept, std::string_view note = "");
// Why what was done will not survive a restart; empty if it will.
std::string WarningOf(std::string_view answer);
std::string NoteOf(std::string_view answer);

// kFailedPrecondition with the daemon's words if the answer is an error.
Status CheckAnswer(std::string_view answer);

}  // namespace fallow
