// A TextSequence becomes a vector: its positions' states, pooled as docs/ARITHMETIC.md says.
#pragma once

#include "engine/model/model.h"
#include "engine/runner/sequence.h"

namespace fallow::engine {

class TextSequence final : public Sequence {
 public:
  // Its vector is number `index` of the request's.
  TextSequence(std::shared_ptr<RunningRequest> request, std::vector<std::uint32_t> tokens,
               std::uint32_t index, std::uint32_t rotary_offset, Pooling pooling)
      : Sequence(std::move(request), std::move(tokens), 0, rotary_offset),
        index_(index),
        pooling_(pooling) {}

  bool WantsState(std::uint32_t position) const override;
  bool Take(std::uint32_t position, std::span<const float> hidden,
            std::span<const float> logits) override;

 private:
  bool End();

  std::uint32_t index_;
  Pooling pooling_;
  std::vector<double> sums_;  // of the states taken so far
};

}  // namespace fallow::engine
