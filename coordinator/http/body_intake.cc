#include "coordinator/http/body_intake.h"

#include <utility>

namespace fallow::http {

BodyIntake::Verdict BodyIntake::Begin(std::optional<std::uint64_t> content_length,
                                      bool awaits_continue) {
  content_length_ = content_length;
  awaits_continue_ = awaits_continue;
  answered_ = false;
  dropped_ = false;
  taken_bytes_ = 0;
  dropped_bytes_ = 0;
  return content_length.value_or(0) > max_bytes_ ? Verdict::kTooLong : Verdict::kGoOn;
}

BodyIntake::Verdict BodyIntake::Take(std::string_view piece) {
  awaits_continue_ = false;
  taken_bytes_ += piece.size();
  if (taken_bytes_ > max_bytes_) return Verdict::kTooLong;
  if (answered_) Drop();
  if (auto sink = std::move(sink_)) {  // ours while it runs: its reply may end the request
    sink->OnData(AsBytes(piece));
    if (!answered_ && !dropped_) sink_ = std::move(sink);
    return Verdict::kGoOn;
  }
  dropped_bytes_ += piece.size();
  return answered_ && dropped_bytes_ > kMaxDroppedBodyBytes ? Verdict::kNotWorthReading
                                                            : Verdict::kGoOn;
}

void BodyIntake::End() {
  if (const auto sink = std::move(sink_)) sink->OnEnd();
}

void BodyIntake::Drop() {
  dropped_ = true;
  const auto sink = std::exchange(sink_, nullptr);
}

bool BodyIntake::is_rest_worth_reading() const {
  if (awaits_continue_) return false;
  return !content_length_.has_value() || *content_length_ - taken_bytes_ <= kMaxDroppedBodyBytes;
}

}  // namespace fallow::http
