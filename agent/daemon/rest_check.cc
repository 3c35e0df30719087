#include "agent/daemon/rest_check.h"

namespace fallow {

using std::chrono::milliseconds;

void RestCheck::Begin(SteadyTime now, ProcessorTime taken) {
  begun_at_ = now;
  begun_with_ = taken;
}

std::optional<RestCheck::Unrest> RestCheck::Look(SteadyTime now, ProcessorTime taken) {
  if (!taken) return std::nullopt;
  if (!begun_with_) {
    Begin(now, taken);
    return std::nullopt;
  }
  const auto within = std::chrono::duration_cast<milliseconds>(now - begun_at_);
  const Unrest seen{
      .took = *taken - *begun_with_,
      .within = within,
      .allowed = kRestAllowance + std::chrono::duration_cast<milliseconds>(kRestShare * within)};
  if (seen.took > seen.allowed) return seen;
  if (within >= kRestStretch) Begin(now, taken);
  return std::nullopt;
}

}  // namespace fallow
