// Whether there was input between two looks at a clock that tells nothing but for how long it has
// been idle. For files of platform/linux alone.
//
// Plain.
#pragma once

#include <chrono>
#include <optional>

namespace fallow {

class IdleMark {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Two looks may differ by so much without input between them: both count whole milliseconds.
  static constexpr std::chrono::milliseconds kRounding{2};

  // An idle time of `idle` was answered, and told to somebody, at `answered_at`.
  void Told(std::chrono::milliseconds idle, Time answered_at) {
    told_ = Look{.idle = idle, .answered_at = answered_at};
  }
  // Whether an answer of `idle`, asked for at `asked_at`, tells of input later than what was told.
  // Without input the idle time would have grown by what lies between the two at least. None was
  // told: no.
  bool Passed(std::chrono::milliseconds idle, Time asked_at) const {
    return told_ && idle + kRounding < told_->idle + (asked_at - told_->answered_at);
  }

 private:
  struct Look {
    std::chrono::milliseconds idle;
    Time answered_at;
  };
  std::optional<Look> told_;
};

}  // namespace fallow
