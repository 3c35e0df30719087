// Until when the agent is paused, and by whom.
//
// Each rank of callers has a pause of its own, and work waits for the later end. So whoever sits at
// the machine may lengthen what root said, and take that back, but neither end nor shorten it. What
// root says takes the place of all that was said before. Plain values.
#pragma once

#include <optional>
#include <string>

#include "agent/daemon/owner_calls.h"
#include "agent/daemon/policy/policy.h"
#include "base/clock.h"
#include "base/result.h"

namespace fallow {

struct OwnerPause {
  // Each may be over, or kPausedWithoutEnd.
  std::optional<WallTime> by_master;
  std::optional<WallTime> by_seat;

  std::optional<WallTime> until() const;  // the later; none: it is not paused
  bool operator==(const OwnerPause&) const = default;

  // kPermissionDenied, with who paused it and the way out, if the caller may not; then nothing has
  // changed.
  Status Pause(Caller caller, WallTime until, const Moment& now);
  // The same, but what the caller said itself is taken back all the same.
  Status Resume(Caller caller, const Moment& now);
  // What `resume` will not end, for a caller who is paused longer than by root; or nothing.
  std::string NoteFor(Caller caller, const Moment& now) const;

 private:
  bool IsMasters(Caller caller, const Moment& now) const;
};

}  // namespace fallow
