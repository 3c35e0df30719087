// Which agent answers a command: the one of the user who types it, else the one of the whole
// machine.
//
// Blocking, for commands alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow {

struct AgentSockets {
  std::string own;
  std::string machine;  // empty: the own agent alone is meant
};

struct AgentAnswer {
  std::string text;
  bool of_machine = false;  // the whole machine's agent gave it
};

// CallLocal, which says kUnavailable where nobody serves.
using CallSocket =
    std::function<Result<std::string>(const std::string& socket, std::string_view call)>;

// Of an error of CallLocal: somebody serves there, and gives no answer.
bool IsThere(const Error& error);

// The answer of the first that serves. kUnavailable: none does. kFailedPrecondition, in the agent's
// words: it refused or failed. Any other: it is there and gives no answer.
Result<AgentAnswer> AskAgent(const AgentSockets& sockets, std::string_view call,
                             const CallSocket& ask);

}  // namespace fallow
