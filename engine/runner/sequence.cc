#include "engine/runner/sequence.h"

#include <fmt/format.h>

#include <bit>

#include "engine/tokenizer/utf8.h"
#include "protocol/limits.h"

namespace fallow::engine {
namespace {

bool AllFinite(std::span<const float> values) {
  // An exponent of all ones, in any of them.
  std::uint32_t found = 0;
  for (const float value : values) {
    found |= (std::bit_cast<std::uint32_t>(value) & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  }
  return found == 0;
}

}  // namespace

Sequence::Sequence(std::uint64_t ticket, InferenceRequest request,
                   std::vector<std::uint32_t> prompt, std::uint32_t max_tokens,
                   std::vector<std::uint32_t> pages)
    : ticket_(ticket),
      request_(std::move(request)),
      tokens_(std::move(prompt)),
      prompt_count_(static_cast<std::uint32_t>(tokens_.size())),
      max_tokens_(max_tokens),
      pages_(std::move(pages)),
      text_(request_.stop) {
  result_.request_index = request_.index;
  result_.prompt_token_count = prompt_count_;
}

bool Sequence::Generate(std::span<const float> hidden, std::span<const float> logits,
                        const Tokenizer& tokenizer, Sampler& sampler) {
  if (!AllFinite(hidden) || !AllFinite(logits)) {
    result_ = {.request_index = request_.index,
               .error = Error{ErrorCode::kInternal,
                              "the model's state is not finite: it overflowed on this request"}};
    return true;
  }
  AddToDigest(hidden);
  const std::uint32_t token = sampler.Choose(logits, request_.sampling, tokens_.size());
  tokens_.push_back(token);
  result_.token_ids.push_back(token);
  if (tokenizer.IsEndOfGeneration(token)) {
    End(FinishReason::kStop);
    return true;
  }
  const bool stopped = text_.Append(tokenizer.TokenBytes(token));
  if (text_.text().size() > kMaxResultTextBytes - kReplacementCharacter.size()) {
    result_ = {.request_index = request_.index,
               .error = Error{
                   ErrorCode::kResourceExhausted,
                   fmt::format("the answer's text is longer than {} bytes", kMaxResultTextBytes)}};
    return true;
  }
  if (stopped) {
    End(FinishReason::kStop);
    return true;
  }
  if (result_.token_ids.size() == max_tokens_) {
    End(FinishReason::kLength);
    return true;
  }
  return false;
}

void Sequence::AddToDigest(std::span<const float> hidden) {
  static_assert(std::endian::native == std::endian::little,
                "states are hashed as little-endian fp32");
  state_hash_.Update(
      ByteView(reinterpret_cast<const std::uint8_t*>(hidden.data()), hidden.size_bytes()));
  if (++hashed_count_ == kGeneratedTokensPerDigest) {
    result_.state_digests.push_back(state_hash_.Finish());
    hashed_count_ = 0;
  }
}

void Sequence::End(FinishReason reason) {
  if (hashed_count_ > 0) result_.state_digests.push_back(state_hash_.Finish());
  text_.Finish();
  result_.finish_reason = reason;
  result_.text = text_.TakeText();
}

AttemptResult Sequence::TakeResult() {
  return std::move(result_);
}

}  // namespace fallow::engine
