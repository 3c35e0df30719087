// The owner's clock: moments in the machine's own time zone, and how they are written.
#pragma once

#include <chrono>
#include <string>

#include "agent/daemon/policy/policy.h"
#include "base/clock.h"

namespace fallow {

// Now, in the time zone of this process. Not thread-safe (it reads the zone anew each time, so that
// a traveller's laptop follows).
Moment MomentNow(const Clock& clock);

// How far local time is ahead of UTC at that time, in the time zone of this process. Not
// thread-safe, likewise.
std::chrono::minutes LocalOffsetAt(WallTime time);

// How far local time is ahead of UTC, as the moment's own fields say.
std::chrono::minutes LocalOffset(const Moment& moment);

// "2026-07-30 21:40:07", "21:40".
std::string LocalDateTime(WallTime time, std::chrono::minutes offset);
std::string LocalClock(WallTime time, std::chrono::minutes offset);

}  // namespace fallow
