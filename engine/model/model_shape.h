// A ModelShape is what a model's keys say of its size and its numbers, checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/backend.h"
#include "engine/model/model.h"

namespace fallow::engine {

// YaRN (Peng et al. 2023, arXiv 2309.00071): slow frequencies are scaled, quick ones kept, those
// between mixed.
struct YarnScaling {
  double original_context = 0;  // tokens
  double beta_fast = 32;        // turns within it: from here on a frequency is kept
  double beta_slow = 1;         // up to here it is scaled
  bool operator==(const YarnScaling&) const = default;
};

// How the angles of a rotary table come about: position * frequency, frequency i of `size` / 2
// being base^(-2i / size), scaled and divided.
struct RotarySpec {
  std::uint32_t size = 0;  // values of a head that turn; even
  RotaryPairs pairs = RotaryPairs::kNeighbours;
  double base = 10'000;
  double scale = 1;      // frequencies are multiplied by it
  double magnitude = 1;  // cosines and sines are multiplied by it
  std::optional<YarnScaling> yarn;
  // Tensors of size / 2 divisors of the frequencies; empty: none. `short_divisors` serve requests
  // that fit `short_context` tokens, where those are given.
  std::string divisors;
  std::string short_divisors;
  bool operator==(const RotarySpec&) const = default;
};

struct ModelShape {
  std::uint32_t context_length = 0;  // tokens
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t vocabulary_size = 0;
  AttentionShape attention;         // of a layer without a window
  std::uint32_t window = 0;         // positions that windowed layers see; 0: none are
  std::uint32_t window_period = 0;  // of so many layers the last sees everything; 0: none does
  double window_rotary_base = 0;    // of windowed layers, in families where they have their own
  float norm_epsilon = 0;
  float final_softcap = 0;  // of the logits; 0: none
  RotarySpec rotary;
  std::uint32_t short_context = 0;  // tokens; 0: the rotary table has one part
  bool looks_ahead = false;         // every row sees its whole sequence
  Pooling pooling = Pooling::kNone;

  std::uint32_t kv_length() const { return attention.kv_head_count * attention.head_size; }
  std::uint32_t q_length() const { return attention.head_count * attention.head_size; }
};

}  // namespace fallow::engine
