// Who sits at this machine: logins at its own screens and keyboards, which logind calls seats, as
// against logins from afar.
#pragma once

#include <cstdint>

namespace fallow {

// Whether the user has a login at a seat, in the foreground or behind another's. False where nobody
// tells, as without logind. Reads a small file at each call. Thread-safe.
bool IsAtSeat(std::int64_t user_id);

}  // namespace fallow
