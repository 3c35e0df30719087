#include "agent/daemon/departed_helpers.h"

#include <algorithm>
#include <utility>

#include "agent/daemon/report_values.h"

namespace fallow {

using Cause = DepartedHelper::Cause;

void DepartedHelpers::Add(DepartedHelper one) {
  for (DepartedHelper& known : all_) {
    if (known.user_id != one.user_id || known.cause != one.cause) continue;
    one.until = std::max(one.until, known.until);
    known = std::move(one);
    return;
  }
  if (all_.size() >= max_) all_.erase(std::ranges::min_element(all_, {}, &DepartedHelper::until));
  all_.push_back(std::move(one));
}

bool DepartedHelpers::Misbehaved(std::int64_t user_id, SteadyTime now) const {
  return std::ranges::any_of(all_, [&](const DepartedHelper& one) {
    return one.user_id == user_id && one.cause == Cause::kMisbehaved && one.until > now;
  });
}

void DepartedHelpers::ForgetVanished(std::int64_t user_id, const std::string& session) {
  std::erase_if(all_, [&](const DepartedHelper& one) {
    return one.cause == Cause::kVanished && one.user_id == user_id && one.session == session;
  });
}

bool DepartedHelpers::Expire(SteadyTime now) {
  return std::erase_if(all_, [&](const DepartedHelper& one) { return one.until <= now; }) > 0;
}

std::optional<SteadyTime> DepartedHelpers::next_end() const {
  if (all_.empty()) return std::nullopt;
  return std::ranges::min_element(all_, {}, &DepartedHelper::until)->until;
}

void DepartedHelpers::AddReadings(SteadyTime now, std::vector<PresenceReading>& readings) const {
  for (const DepartedHelper& one : all_)
    if (one.until > now) readings.push_back(DistrustedReading(one.user, one.why));
}

}  // namespace fallow
