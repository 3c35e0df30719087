// The owner's clock: moments in the machine's own time zone, and how they are written.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "agent/daemon/policy/policy.h"
#include "base/clock.h"
#include "base/result.h"

namespace fallow {

// Now, in the time zone of this process. Not thread-safe (it reads the zone anew each time, so that
// a traveller's laptop follows).
Moment MomentNow(const Clock& clock);

// How far local time is ahead of UTC, as the moment's own fields say.
std::chrono::minutes LocalOffset(const Moment& moment);

// "2026-07-30 21:40:07", "21:40".
std::string LocalDateTime(WallTime time, std::chrono::minutes offset);
std::string LocalClock(WallTime time, std::chrono::minutes offset);

// "21:40" or "21:40:30" (the last time it was that late: today, or yesterday if that lies ahead),
// "2026-07-30 21:40". By the offset that holds at `now`.
Result<WallTime> ParseLocalTime(std::string_view text, const Moment& now);

}  // namespace fallow
