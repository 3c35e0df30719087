// A Sequence is one request in the batch: its tokens, how many of them the caches hold, and what it
// has answered.
//
// Threading: the runner's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/digest.h"
#include "engine/runner/answer_text.h"
#include "engine/sampler/sampler.h"
#include "engine/tokenizer/tokenizer.h"
#include "protocol/inference.h"

namespace fallow::engine {

class Sequence {
 public:
  // `max_tokens` ≥ 1: at most this many are generated. `pages` hold the prompt and all of them but
  // the last.
  Sequence(std::uint64_t ticket, InferenceRequest request, std::vector<std::uint32_t> prompt,
           std::uint32_t max_tokens, std::vector<std::uint32_t> pages);

  std::uint64_t ticket() const { return ticket_; }
  const std::vector<std::uint32_t>& pages() const { return pages_; }
  // Tokens that the caches do not hold yet: the rest of the prompt, or the last generated one.
  std::uint32_t pending_count() const {
    return static_cast<std::uint32_t>(tokens_.size()) - cached_count_;
  }
  bool decoding() const { return tokens_.size() > prompt_count_; }
  std::uint32_t cached_count() const { return cached_count_; }
  std::uint32_t token_at(std::uint32_t position) const { return tokens_[position]; }

  // `count` pending tokens have been computed.
  void Advance(std::uint32_t count) { cached_count_ += count; }
  // Chooses the next token from the last position's state and logits. True when the answer is
  // complete.
  bool Generate(std::span<const float> hidden, std::span<const float> logits,
                const Tokenizer& tokenizer, Sampler& sampler);

  AttemptResult TakeResult();

 private:
  void AddToDigest(std::span<const float> hidden);
  void End(FinishReason reason);

  std::uint64_t ticket_;
  InferenceRequest request_;
  std::vector<std::uint32_t> tokens_;  // the prompt and what followed
  std::uint32_t prompt_count_;
  std::uint32_t max_tokens_;
  std::vector<std::uint32_t> pages_;
  std::uint32_t cached_count_ = 0;
  AnswerText text_;
  Sha256 state_hash_;
  std::uint32_t hashed_count_ = 0;  // states in state_hash_
  AttemptResult result_;
};

}  // namespace fallow::engine
