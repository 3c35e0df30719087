#include "coordinator/core/records.h"

#include "base/check.h"

namespace fallow {

std::string_view JobStateName(JobState state) {
  switch (state) {
    case JobState::kValidating:
      return "validating";
    case JobState::kFailed:
      return "failed";
    case JobState::kInProgress:
      return "in_progress";
    case JobState::kFinalizing:
      return "finalizing";
    case JobState::kCompleted:
      return "completed";
    case JobState::kExpired:
      return "expired";
    case JobState::kCancelling:
      return "cancelling";
    case JobState::kCancelled:
      return "cancelled";
  }
  FALLOW_UNREACHABLE();
}

std::size_t AnswerBytes(const AttemptResult& result) {
  return result.text.size() + sizeof(std::uint32_t) * result.token_ids.size() +
         sizeof(Digest) * result.state_digests.size();
}

bool IsFinal(JobState state) {
  return state == JobState::kFailed || state == JobState::kCompleted ||
         state == JobState::kExpired || state == JobState::kCancelled;
}

}  // namespace fallow
