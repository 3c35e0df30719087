// The sampler chooses the next token from exact logits, by Gumbel-max over a counter-based
// generator.
//
// Invariant: a pure function, the same on every host (docs/ARITHMETIC.md). Noise depends on seed,
// position and token id alone, so neither batch nor order of evaluation can be seen in a choice.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/inference.h"

namespace fallow::engine {

// Philox 4x32 with 10 rounds.
std::array<std::uint32_t, 4> Philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key);

// Noise of the Gumbel distribution for a token at a position, from 52 bits of the generator.
double GumbelNoise(std::uint64_t seed, std::uint64_t position, std::uint32_t token);

// Threading: one thread; it keeps buffers between calls.
class Sampler {
 public:
  // `position` is the place of the token to be chosen, counted from the start of the prompt.
  // `logits` are finite. Of equal scores the lowest token id wins.
  std::uint32_t Choose(std::span<const float> logits, const Sampling& sampling,
                       std::uint64_t position);

 private:
  void KeepTopK(std::span<const float> logits, std::uint32_t top_k);
  void KeepTopP(std::span<const float> logits, double temperature, double top_p);

  std::vector<std::uint32_t> candidates_;
};

}  // namespace fallow::engine
