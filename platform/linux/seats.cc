// Seats by what logind keeps in /run/systemd, without a bus.
#include "platform/seats.h"

#include <sys/types.h>
#include <systemd/sd-login.h>

namespace fallow {

bool IsAtSeat(std::int64_t user_id) {
  constexpr int kInTheBackgroundToo = 0;
  return sd_uid_get_seats(static_cast<uid_t>(user_id), kInTheBackgroundToo, nullptr) > 0;
}

}  // namespace fallow
