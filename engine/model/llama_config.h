// A LlamaConfig is the checked shape of a model of the llama architecture.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine {

struct LlamaConfig {
  std::uint32_t context_length = 0;  // tokens
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t head_count = 0;
  std::uint32_t kv_head_count = 0;  // divides head_count
  std::uint32_t head_size = 0;      // even
  std::uint32_t vocabulary_size = 0;
  float norm_epsilon = 0;
  double rope_base = 0;
  bool tied_output = false;  // the output matrix is the embedding

  std::uint32_t kv_length() const { return kv_head_count * head_size; }
  std::uint32_t q_length() const { return head_count * head_size; }
};

// Reads the keys and checks that every tensor of such a model is there with its shape and a type we
// compute, and that there is none we would ignore. What we do not compute (rope scaling, biases,
// experts, sliding windows) is refused by name with kUnimplemented; what contradicts itself with
// kInvalidArgument.
Result<LlamaConfig> ReadLlamaConfig(const GgufFile& file);

// "blk.3.attn_q.weight"
std::string LayerTensorName(std::uint32_t layer, std::string_view part);

}  // namespace fallow::engine
