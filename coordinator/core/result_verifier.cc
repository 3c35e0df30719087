#include "coordinator/core/result_verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "coordinator/core/limits.h"
#include "coordinator/core/utf8.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

// Runners may keep a position free for the next token: a context is full this close to its end.
constexpr std::uint64_t kContextSlackTokens = 2;

// A vector that no honest device sends; none if it could be true.
std::optional<std::string> ImplausibleVector(std::span<const float> vector, std::size_t length,
                                             const Digest& digest) {
  if (vector.size() != length)
    return fmt::format("has {} values, the model's have {}", vector.size(), length);
  double square_sum = 0;
  for (const float value : vector) square_sum += double{value} * double{value};
  // A state of zeros has no direction and stays what it is (docs/ARITHMETIC.md). The comparisons
  // are false where a value is not finite, too.
  if (!(square_sum == 0 || std::abs(std::sqrt(square_sum) - 1) <= kUnitLengthTolerance))
    return fmt::format("has the norm {:.6g} instead of 1", std::sqrt(square_sum));
  if (VectorDigest(vector) != digest) return "is not what its digest says";
  return std::nullopt;
}

std::optional<std::string> ImplausibleVectors(const AttemptResult& attempt,
                                              const AttemptBounds& bounds) {
  const std::size_t count = attempt.embeddings.size();
  if (count != bounds.input_count)
    return fmt::format("{} vectors for {} inputs", count, bounds.input_count);
  if (attempt.state_digests.size() != count)
    return fmt::format("{} digests for {} vectors", attempt.state_digests.size(), count);
  if (!attempt.text.empty() || !attempt.token_ids.empty()) return "a text beside its vectors";
  const std::uint64_t tokens = attempt.prompt_token_count;
  if (tokens < count) return fmt::format("{} tokens read for {} inputs", tokens, count);
  if (bounds.context_length > 0 && tokens > std::uint64_t{bounds.context_length} * count) {
    return fmt::format("{} tokens read for {} inputs in a context of {}", tokens, count,
                       bounds.context_length);
  }
  const std::size_t length =
      bounds.embedding_length > 0 ? bounds.embedding_length : attempt.embeddings[0].size();
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto lie =
            ImplausibleVector(attempt.embeddings[i], length, attempt.state_digests[i])) {
      return fmt::format("vector {} {}", i, *lie);
    }
  }
  return std::nullopt;
}

// What cannot be true of an honest attempt; none if nothing.
std::optional<std::string> Implausible(const AttemptResult& attempt, const AttemptBounds& bounds) {
  if (bounds.input_count > 0) return ImplausibleVectors(attempt, bounds);
  if (!attempt.embeddings.empty()) return "vectors where an answer was due";
  const std::size_t tokens = attempt.token_ids.size();
  if (tokens == 0) return "no token was generated";
  if (tokens > bounds.max_tokens)
    return fmt::format("{} tokens, at most {} were asked", tokens, bounds.max_tokens);
  const std::size_t digests = (tokens + kGeneratedTokensPerDigest - 1) / kGeneratedTokensPerDigest;
  if (attempt.state_digests.size() != digests) {
    return fmt::format("{} state digests for {} tokens, {} were due", attempt.state_digests.size(),
                       tokens, digests);
  }
  if (attempt.prompt_token_count == 0) return "an empty prompt";
  if (bounds.context_length > 0 &&
      attempt.prompt_token_count + std::uint64_t{tokens} > bounds.context_length + 1ull) {
    return fmt::format("{} prompt and {} generated tokens in a context of {}",
                       attempt.prompt_token_count, tokens, bounds.context_length);
  }
  if (attempt.finish_reason == FinishReason::kLength && tokens < bounds.max_tokens) {
    const bool context_full =
        bounds.context_length > 0 &&
        attempt.prompt_token_count + tokens + kContextSlackTokens >= bounds.context_length;
    if (!context_full)
      return fmt::format("ended for length after {} of {} tokens", tokens, bounds.max_tokens);
  }
  if (!IsUtf8(attempt.text)) return "its text is not UTF-8";
  if (attempt.text.size() > std::min(kMaxResultTextBytes, tokens * kMaxTextBytesPerToken))
    return fmt::format("its text has {} bytes for {} tokens", attempt.text.size(), tokens);
  return std::nullopt;
}

JudgedAttempt WithoutContent(const AttemptResult& attempt, Verdict verdict, Error error) {
  JudgedAttempt judged;
  judged.verdict = verdict;
  judged.result.attempt = attempt.attempt;
  judged.result.request_index = attempt.request_index;
  judged.result.error = std::move(error);
  return judged;
}

}  // namespace

JudgedAttempt JudgeAttempt(const AttemptResult& attempt, const AttemptBounds& bounds) {
  if (attempt.error) {
    Error error = *attempt.error;
    if (error.message.size() > kMaxShortTextBytes || !IsUtf8(error.message))
      error.message = "the device's error message is unreadable";
    // The request itself is wrong, and would be on any device; anything else may be the device.
    const bool final = error.code == ErrorCode::kInvalidArgument;
    return WithoutContent(attempt, final ? Verdict::kCanonical : Verdict::kRetry, std::move(error));
  }
  if (auto reason = Implausible(attempt, bounds)) {
    return WithoutContent(attempt, Verdict::kRetry,
                          {ErrorCode::kDataLoss, "the result was refused: " + *reason});
  }
  return {attempt, Verdict::kCanonical};
}

}  // namespace fallow
