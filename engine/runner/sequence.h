// A Sequence is what the batch computes in one row of positions: its tokens, how many of them the
// caches hold, and the pages they lie in. What its states are for is up to the two kinds: an answer
// that grows, or a text that becomes a vector.
//
// Threading: the runner's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "protocol/inference.h"

namespace fallow::engine {

// A request in the runner. It ends when none of its sequences is open, or when one has failed.
struct RunningRequest {
  std::uint64_t ticket = 0;
  std::uint32_t open_sequence_count = 0;
  bool failed = false;
  bool reported = false;  // the result has been handed on
  AttemptResult result;

  // Whatever had been gathered goes.
  void FailWith(Error error) {
    failed = true;
    result = {.request_index = result.request_index, .error = std::move(error)};
  }
};

class Sequence {
 public:
  // `growth`: the caches will hold at most this many tokens beyond the first.
  Sequence(std::shared_ptr<RunningRequest> request, std::vector<std::uint32_t> tokens,
           std::uint32_t growth, std::uint32_t rotary_offset)
      : request_(std::move(request)),
        tokens_(std::move(tokens)),
        prompt_count_(static_cast<std::uint32_t>(tokens_.size())),
        final_token_count_(prompt_count_ + growth),
        rotary_offset_(rotary_offset) {}
  virtual ~Sequence() = default;

  RunningRequest& request() const { return *request_; }
  std::uint64_t ticket() const { return request_->ticket; }
  std::uint32_t rotary_offset() const { return rotary_offset_; }
  std::uint32_t token_count() const { return static_cast<std::uint32_t>(tokens_.size()); }
  std::uint32_t token_at(std::uint32_t position) const { return tokens_[position]; }
  // The caches never hold more than this many.
  std::uint32_t final_token_count() const { return final_token_count_; }
  std::uint32_t cached_count() const { return cached_count_; }
  // Tokens that the caches do not hold yet.
  std::uint32_t pending_count() const { return token_count() - cached_count_; }

  std::vector<std::uint32_t>& pages() { return pages_; }

  // `count` pending tokens have been computed; how many of the prompt's for the first time.
  std::uint32_t Advance(std::uint32_t count);
  // The caches hold nothing of it any more.
  void Rewind() { cached_count_ = 0; }

  // Whether the state at a position is to be put out.
  virtual bool WantsState(std::uint32_t position) const = 0;
  // Takes a state that was wanted, with its logits in a model that generates. True when the
  // sequence has come to its end, or has failed its request.
  virtual bool Take(std::uint32_t position, std::span<const float> hidden,
                    std::span<const float> logits) = 0;

 protected:
  void Append(std::uint32_t token) { tokens_.push_back(token); }

 private:
  std::shared_ptr<RunningRequest> request_;
  std::vector<std::uint32_t> tokens_;  // the prompt and what followed
  std::uint32_t prompt_count_;
  std::uint32_t final_token_count_;
  std::uint32_t rotary_offset_;
  std::vector<std::uint32_t> pages_;
  std::uint32_t cached_count_ = 0;
  std::uint32_t prompt_computed_count_ = 0;
};

// Whether no value is infinite or NaN.
bool AllFinite(std::span<const float> values);

}  // namespace fallow::engine
