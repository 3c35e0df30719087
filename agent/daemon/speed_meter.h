// Measured speed: tokens a second while there was work, over about the last minute.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/clock.h"
#include "protocol/inference.h"

namespace fallow {

class SpeedMeter {
 public:
  static constexpr std::chrono::seconds kWindow{60};

  // `count`: the progress that is measured, generated tokens or read ones.
  explicit SpeedMeter(std::uint64_t WorkProgress::*count) : count_(count) {}

  // The worker's counters start anew.
  void Restart() { last_.reset(); }

  // The worker gets work.
  void Begin(SteadyTime now) {
    if (!last_ || !last_->busy) last_ = Sample{now, last_ ? last_->token_count : 0, true};
  }

  void Add(SteadyTime now, const WorkProgress& progress) {
    const std::uint64_t token_count = progress.*count_;
    if (last_ && last_->busy && token_count >= last_->token_count && now > last_->at) {
      intervals_.push_back({now - last_->at, token_count - last_->token_count});
      busy_time_ += intervals_.back().duration;
      token_count_ += intervals_.back().token_count;
      while (intervals_.size() > 1 && busy_time_ - intervals_.front().duration >= kWindow) {
        busy_time_ -= intervals_.front().duration;
        token_count_ -= intervals_.front().token_count;
        intervals_.pop_front();
      }
    }
    const bool busy = progress.active_sequence_count + progress.waiting_request_count > 0;
    last_ = Sample{now, token_count, busy};
  }

  // 0 until something was measured; keeps the last known speed while there is no work.
  double tokens_per_second() const {
    const double seconds = std::chrono::duration<double>(busy_time_).count();
    return seconds < kShortestMeasure ? 0 : static_cast<double>(token_count_) / seconds;
  }

 private:
  static constexpr double kShortestMeasure = 0.2;  // s; less says nothing

  struct Sample {
    SteadyTime at;
    std::uint64_t token_count;
    bool busy;
  };
  struct Interval {
    SteadyTime::duration duration;
    std::uint64_t token_count;
  };
  std::uint64_t WorkProgress::*count_;
  std::optional<Sample> last_;
  std::deque<Interval> intervals_;
  SteadyTime::duration busy_time_{0};
  std::uint64_t token_count_ = 0;
};

}  // namespace fallow
