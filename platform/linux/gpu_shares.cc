#include "platform/linux/gpu_shares.h"

#include <algorithm>

namespace fallow {
namespace {

std::optional<double> NoneIfZero(std::optional<double> share) {
  return share && *share > 0 ? share : std::nullopt;
}

std::optional<double> Foreign(const GpuEvidence& evidence) {
  const DrmUse& use = evidence.use;
  if (evidence.saw_all && use.foreign_share) return use.foreign_share;
  if (!evidence.counter) return NoneIfZero(use.foreign_share);
  if (!evidence.we_run) return evidence.counter;
  if (!evidence.saw_ours || !use.own_share) return NoneIfZero(use.foreign_share);
  const double rest = std::max(0.0, *evidence.counter - *use.own_share);
  return std::max(rest, use.foreign_share.value_or(0));
}

}  // namespace

GpuShares JudgeShares(const GpuEvidence& evidence) {
  std::optional<double> busy = evidence.counter;
  if (!busy) {
    busy = evidence.saw_all ? evidence.use.all_share : NoneIfZero(evidence.use.all_share);
  }
  return {.busy = busy, .foreign = Foreign(evidence)};
}

}  // namespace fallow
