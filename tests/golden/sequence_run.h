// Sends one sequence of token ids through a model, alone or among others, and takes what comes out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/model/model.h"

namespace fallow::engine {

struct SequenceInput {
  std::vector<std::uint32_t> tokens;
  std::uint32_t max_tokens = 0;       // how far it may go on; chooses rotary places
  std::vector<std::uint32_t> places;  // positions whose outputs are wanted, ascending
};

// Of each place, one after the other.
struct SequenceOutput {
  std::vector<float> hidden;
  std::vector<float> logits;  // empty where the model makes none
};

// In which steps the sequence is computed. Models that look ahead take all of it in one.
struct Steps {
  std::vector<std::uint32_t> chunks = {128};  // its rows in each step; the last number repeats
  std::uint32_t other_count = 0;              // sequences with rows in the same steps
};

Result<SequenceOutput> RunSequence(Model& model, const SequenceInput& input, const Steps& steps);

// The embedding that the states of all positions make, as docs/ARITHMETIC.md pools them.
std::vector<float> Pooled(const ModelCard& card, std::span<const float> states);

}  // namespace fallow::engine
