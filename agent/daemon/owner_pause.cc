#include "agent/daemon/owner_pause.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/signals.h"

namespace fallow {
namespace {

std::string EndText(WallTime until, const Moment& now) {
  if (until == kPausedWithoutEnd) return "`sudo fallow-agent resume`";
  return LocalDateTime(until, LocalOffset(now));
}

std::unexpected<Error> Refuse(WallTime until, const Moment& now) {
  return Fail(ErrorCode::kPermissionDenied,
              fmt::format("root paused this machine's agent until {}; only root may end or shorten "
                          "that{}",
                          EndText(until, now),
                          until == kPausedWithoutEnd ? "" : ": sudo fallow-agent resume"));
}

}  // namespace

std::optional<WallTime> OwnerPause::until() const {
  return std::max(by_master, by_seat);
}

// A pause of the master's lasts that the caller has no power over.
bool OwnerPause::IsMasters(Caller caller, const Moment& now) const {
  return caller != Caller::kMaster && by_master && *by_master > now.wall;
}

Status OwnerPause::Pause(Caller caller, WallTime until, const Moment& now) {
  if (caller == Caller::kMaster) {
    *this = {.by_master = until};
    return {};
  }
  if (IsMasters(caller, now) && until <= *by_master) return Refuse(*by_master, now);
  by_seat = until;
  return {};
}

Status OwnerPause::Resume(Caller caller, const Moment& now) {
  by_seat.reset();
  if (IsMasters(caller, now)) return Refuse(*by_master, now);
  by_master.reset();
  return {};
}

std::string OwnerPause::NoteFor(Caller caller, const Moment& now) const {
  if (!IsMasters(caller, now)) return "";
  return fmt::format("root paused it until {} in any case", EndText(*by_master, now));
}

}  // namespace fallow
