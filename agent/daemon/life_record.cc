#include "agent/daemon/life_record.h"

#include <algorithm>

#include "agent/daemon/policy/local_time.h"
#include "base/log.h"

namespace fallow {
namespace {

std::unique_ptr<LifeSign> OpenFirst(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    auto sign = OpenLifeSign(path);
    if (sign) return *std::move(sign);
    LOG_DEBUG("agent: no sign of life there: {}", sign.error().message);
  }
  return nullptr;
}

std::chrono::microseconds Ahead(const Clock& clock) {
  return clock.Wall().time_since_epoch() - clock.Steady().time_since_epoch();
}

}  // namespace

void LifeRecord::Begin() {
  (void)Mark({.kind = RunMark::Kind::kBegan, .last_sign = LastLifeSign(signs_)});
  most_ahead_ = Ahead(clock_);
  sign_ = OpenFirst(signs_);
}

void LifeRecord::Look() {
  LookAtClock();
  if (sign_) sign_->Note(clock_.Wall());
}

void LifeRecord::LookAtClock() {
  const auto ahead = Ahead(clock_);
  const auto lost = std::chrono::floor<std::chrono::milliseconds>(most_ahead_ - ahead);
  most_ahead_ = std::max(most_ahead_, ahead);
  const SteadyTime now = clock_.Steady();
  if (lost < kClockStep || (step_written_at_ && now - *step_written_at_ < kClockStepPeriod)) return;
  most_ahead_ = ahead;
  step_written_at_ = now;
  (void)Mark({.kind = RunMark::Kind::kClockSetBack, .clock_was = clock_.Wall() + lost});
}

void LifeRecord::End() {
  // Where the log does not say so, the sign is the best there is.
  if (Mark({.kind = RunMark::Kind::kEnded}) && sign_) sign_->Forget();
}

bool LifeRecord::Mark(RunMark mark) {
  mark.moment = MomentNow(clock_);
  const Status kept = log_.Mark(mark);
  if (!kept) LOG_WARN("agent: the policy's log cannot be kept: {}", kept.error().message);
  return kept.has_value();
}

std::optional<WallTime> LastLifeSign(const std::vector<std::string>& signs) {
  std::optional<WallTime> last;
  for (const std::string& path : signs) last = std::max(last, ReadLifeSign(path));
  return last;
}

}  // namespace fallow
