#include "engine/runner/answer_sequence.h"

#include <fmt/format.h>

#include <bit>

#include "engine/tokenizer/utf8.h"
#include "protocol/limits.h"

namespace fallow::engine {

AnswerSequence::AnswerSequence(std::shared_ptr<RunningRequest> request,
                               const InferenceRequest& asked, std::vector<std::uint32_t> prompt,
                               std::uint32_t max_tokens, std::uint32_t rotary_offset,
                               const Tokenizer& tokenizer, Sampler& sampler)
    : Sequence(std::move(request), std::move(prompt), max_tokens - 1, rotary_offset),
      sampling_(asked.sampling),
      max_tokens_(max_tokens),
      tokenizer_(tokenizer),
      sampler_(sampler),
      text_(asked.stop) {}

bool AnswerSequence::Take(std::uint32_t, std::span<const float> hidden,
                          std::span<const float> logits) {
  if (!AllFinite(hidden) || !AllFinite(logits)) {
    return Fail(ErrorCode::kInternal,
                "the model's state is not finite: it overflowed on this request");
  }
  AddToDigest(hidden);
  const std::uint32_t token = sampler_.Choose(logits, sampling_, token_count());
  Append(token);
  result().token_ids.push_back(token);
  if (tokenizer_.IsEndOfGeneration(token)) return End(FinishReason::kStop);
  const bool stopped = text_.Append(tokenizer_.TokenBytes(token));
  if (text_.text().size() > kMaxResultTextBytes - kReplacementCharacter.size()) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the answer's text is longer than {} bytes", kMaxResultTextBytes));
  }
  if (stopped) return End(FinishReason::kStop);
  if (result().token_ids.size() == max_tokens_) return End(FinishReason::kLength);
  return false;
}

void AnswerSequence::AddToDigest(std::span<const float> hidden) {
  static_assert(std::endian::native == std::endian::little,
                "states are hashed as little-endian fp32");
  state_hash_.Update(
      ByteView(reinterpret_cast<const std::uint8_t*>(hidden.data()), hidden.size_bytes()));
  if (++hashed_count_ == kGeneratedTokensPerDigest) {
    result().state_digests.push_back(state_hash_.Finish());
    hashed_count_ = 0;
  }
}

bool AnswerSequence::End(FinishReason reason) {
  if (hashed_count_ > 0) result().state_digests.push_back(state_hash_.Finish());
  text_.Finish();
  result().finish_reason = reason;
  result().text = text_.TakeText();
  return true;
}

bool AnswerSequence::Fail(ErrorCode code, std::string message) {
  request().FailWith({code, std::move(message)});
  return true;
}

}  // namespace fallow::engine
