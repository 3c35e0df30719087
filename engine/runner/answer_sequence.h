// An AnswerSequence generates: the state of its last token chooses the next one.
#pragma once

#include "base/digest.h"
#include "engine/runner/answer_text.h"
#include "engine/runner/sequence.h"
#include "engine/sampler/sampler.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

class AnswerSequence final : public Sequence {
 public:
  // `max_tokens` ≥ 1: at most this many are generated; the last is never put in the caches.
  AnswerSequence(std::shared_ptr<RunningRequest> request, const InferenceRequest& asked,
                 std::vector<std::uint32_t> prompt, std::uint32_t max_tokens,
                 std::uint32_t rotary_offset, const Tokenizer& tokenizer, Sampler& sampler);

  bool WantsState(std::uint32_t position) const override { return position + 1 == token_count(); }
  bool Take(std::uint32_t position, std::span<const float> hidden,
            std::span<const float> logits) override;

 private:
  AttemptResult& result() { return request().result; }
  void AddToDigest(std::span<const float> hidden);
  bool End(FinishReason reason);
  bool Fail(ErrorCode code, std::string message);

  Sampling sampling_;
  std::uint32_t max_tokens_;
  const Tokenizer& tokenizer_;
  Sampler& sampler_;
  AnswerText text_;
  Sha256 state_hash_;
  std::uint32_t hashed_count_ = 0;  // states in state_hash_
};

}  // namespace fallow::engine
