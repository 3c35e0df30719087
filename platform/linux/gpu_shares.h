// What may be said of a card's busy time, from a counter of the card and the accounts of its
// clients.
#pragma once

#include <optional>

#include "platform/linux/drm_fdinfo.h"

namespace fallow {

struct GpuEvidence {
  std::optional<double> counter;  // the card's own, of everybody's work
  DrmUse use;
  bool saw_all = false;   // nobody's account was closed to us, and the driver is known to keep them
  bool saw_ours = false;  // none of ours was
  bool we_run = false;
};

struct GpuShares {
  std::optional<double> busy;
  std::optional<double> foreign;

  bool operator==(const GpuShares&) const = default;
};

// That others do something is said when some of it was seen; that they do nothing, only when all
// was seen or the card's counter says so.
GpuShares JudgeShares(const GpuEvidence& evidence);

}  // namespace fallow
