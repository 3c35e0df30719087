// What a session helper's report says, as the values that the policy looks at. Pure.
#pragma once

#include <string>

#include "platform/presence.h"
#include "platform/session_signals.h"
#include "protocol/session_messages.h"

namespace fallow {

// `user`, by name, becomes part of the source's: "x11 :0 (anna)".
PresenceReading ToReading(const PresenceReport& told, const std::string& user);
SessionSignal ToSignal(const SignalReport& told, const std::string& user);
// A helper that is not believed, and `why`: it counts as use.
PresenceReading DistrustedReading(const std::string& user, const std::string& why);

// Whether a policy could decide otherwise after `now` than after `before`. Idle time that only grew
// is no news: a policy that waits for it looks by itself.
bool IsNews(const SessionReport& before, const SessionReport& now);

}  // namespace fallow
