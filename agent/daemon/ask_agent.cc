#include "agent/daemon/ask_agent.h"

#include <utility>

#include "agent/daemon/owner_calls.h"

namespace fallow {

bool IsThere(const Error& error) {
  return error.code == ErrorCode::kDeadlineExceeded || error.code == ErrorCode::kResourceExhausted;
}

Result<AgentAnswer> AskAgent(const AgentSockets& sockets, std::string_view call,
                             const CallSocket& ask) {
  auto text = ask(sockets.own, call);
  const bool of_machine = !text && !IsThere(text.error()) && !sockets.machine.empty();
  if (of_machine) text = ask(sockets.machine, call);
  if (!text && IsThere(text.error()))
    return Wrap(std::move(text).error(), "an agent runs but does not answer");
  if (!text) return Fail(ErrorCode::kUnavailable, std::move(text).error().message);
  FALLOW_RETURN_IF_ERROR(CheckAnswer(*text));
  return AgentAnswer{.text = *std::move(text), .of_machine = of_machine};
}

}  // namespace fallow
