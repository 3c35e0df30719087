#include "engine/runner/sequence.h"

#include <algorithm>
#include <bit>

namespace fallow::engine {

std::uint32_t Sequence::Advance(std::uint32_t count) {
  cached_count_ += count;
  const std::uint32_t computed = std::min(cached_count_, prompt_count_);
  const std::uint32_t news = computed - std::min(computed, prompt_computed_count_);
  prompt_computed_count_ += news;
  return news;
}

bool AllFinite(std::span<const float> values) {
  // An exponent of all ones, in any of them.
  std::uint32_t found = 0;
  for (const float value : values) {
    found |= (std::bit_cast<std::uint32_t>(value) & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  }
  return found == 0;
}

}  // namespace fallow::engine
