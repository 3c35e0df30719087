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

bool IsEndpoint(std::string_view text) {
  return text == kChatEndpoint || text == kEmbeddingsEndpoint;
}

std::size_t AnswerBytes(const AttemptResult& result) {
  std::size_t bytes = result.text.size() + sizeof(std::uint32_t) * result.token_ids.size() +
                      sizeof(Digest) * result.state_digests.size();
  for (const std::vector<float>& vector : result.embeddings) bytes += sizeof(float) * vector.size();
  return bytes;
}

void ForgetAnswer(AttemptResult& result) {
  result.text = {};
  result.token_ids = {};
  result.state_digests = {};
  result.embeddings = {};
}

bool IsFinal(JobState state) {
  return state == JobState::kFailed || state == JobState::kCompleted ||
         state == JobState::kExpired || state == JobState::kCancelled;
}

}  // namespace fallow
