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

}  // namespace

void LifeRecord::Begin() {
  (void)Mark(RunMark::Kind::kBegan, LastLifeSign(signs_));
  sign_ = OpenFirst(signs_);
}

void LifeRecord::Look() {
  if (sign_) sign_->Note(clock_.Wall());
}

void LifeRecord::End() {
  // Where the log does not say so, the sign is the best there is.
  if (Mark(RunMark::Kind::kEnded, std::nullopt) && sign_) sign_->Forget();
}

bool LifeRecord::Mark(RunMark::Kind kind, std::optional<WallTime> last_sign) {
  const Status kept =
      log_.Mark({.kind = kind, .moment = MomentNow(clock_), .last_sign = last_sign});
  if (!kept) LOG_WARN("agent: the policy's log cannot be kept: {}", kept.error().message);
  return kept.has_value();
}

std::optional<WallTime> LastLifeSign(const std::vector<std::string>& signs) {
  std::optional<WallTime> last;
  for (const std::string& path : signs) last = std::max(last, ReadLifeSign(path));
  return last;
}

}  // namespace fallow
