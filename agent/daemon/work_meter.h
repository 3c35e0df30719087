// What a work session has done and how fast: requests, tokens, and the worker's own progress.
//
// Threading: the session's thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "agent/daemon/speed_meter.h"
#include "base/clock.h"
#include "protocol/inference.h"

namespace fallow {

// What a batch of requests is for: a model either generates or reads for embeddings.
enum class WorkKind : std::uint8_t { kGenerating, kEmbedding };

class WorkMeter {
 public:
  // Over how long the rate of finished requests is measured.
  static constexpr std::chrono::milliseconds kRatePeriod{1'000};

  // The worker gets requests.
  void Begin(SteadyTime now, WorkKind kind) {
    kind_ = kind;
    meter().Begin(now);
  }

  void AddProgress(SteadyTime now, const WorkProgress& progress) {
    progress_ = progress;
    meter().Add(now, progress);
  }

  void AddFinished(SteadyTime now, std::uint64_t generated_token_count) {
    ++finished_request_count_;
    generated_token_count_ += generated_token_count;
    ++rate_count_;
    if (now - rate_since_ < kRatePeriod) return;
    const double seconds = std::chrono::duration<double>(now - rate_since_).count();
    requests_per_second_ = static_cast<double>(rate_count_) / seconds;
    rate_since_ = now;
    rate_count_ = 0;
  }

  // The worker's counters start anew.
  void ForgetProgress() {
    progress_ = {};
    generating_.Restart();
    embedding_.Restart();
  }

  const WorkProgress& progress() const { return progress_; }
  double tokens_per_second() const { return generating_.tokens_per_second(); }
  double embedding_tokens_per_second() const { return embedding_.tokens_per_second(); }
  double requests_per_second() const { return requests_per_second_; }
  std::uint64_t finished_request_count() const { return finished_request_count_; }
  std::uint64_t generated_token_count() const { return generated_token_count_; }

 private:
  SpeedMeter& meter() { return kind_ == WorkKind::kEmbedding ? embedding_ : generating_; }

  WorkKind kind_ = WorkKind::kGenerating;
  WorkProgress progress_;
  SpeedMeter generating_{&WorkProgress::generated_token_count};
  SpeedMeter embedding_{&WorkProgress::prompt_token_count};
  double requests_per_second_ = 0;
  SteadyTime rate_since_{};
  std::uint64_t rate_count_ = 0;
  std::uint64_t finished_request_count_ = 0;
  std::uint64_t generated_token_count_ = 0;
};

}  // namespace fallow
