// A llama model too small to say anything sensible, for tests of everything around the numbers.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/tokenizer/byte_alphabet.h"
#include "tests/support/gguf_writer.h"
#include "tests/unit/engine/random_values.h"

namespace fallow::engine {

struct TinyModel {
  std::uint32_t context = 600;
  std::uint32_t layers = 2;
  std::uint32_t width = 32;
  std::uint32_t heads = 4;
  std::uint32_t kv_heads = 2;
  std::uint32_t head_size = 8;
  std::uint32_t feed_forward = 64;
  std::array<float, 3> weight_sizes = {
      1, 1, 1};  // embedding, layers, output: above 1 to provoke overflow
  WeightType type = WeightType::kF32;
  bool tied = false;
  std::string left_out;  // a tensor
  std::vector<std::string> extra_tensors;

  static constexpr std::uint32_t kVocabulary = 258;  // the bytes, <|im_start|>, <|im_end|>
  static constexpr std::uint32_t kEndToken = 257;

  Bytes Write() const {
    GgufWriter writer;
    WriteKeys(writer);
    return WriteTensors(writer).Write();
  }

  void WriteKeys(GgufWriter& writer) const {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
    tokens.insert(tokens.end(), {"<|im_start|>", "<|im_end|>"});
    std::vector<std::int32_t> kinds(256, 1);
    kinds.insert(kinds.end(), 2, 3);
    writer.String("general.architecture", "llama")
        .String("general.name", "Tiny")
        .U32("llama.context_length", context)
        .U32("llama.embedding_length", width)
        .U32("llama.block_count", layers)
        .U32("llama.feed_forward_length", feed_forward)
        .U32("llama.attention.head_count", heads)
        .U32("llama.attention.head_count_kv", kv_heads)
        .U32("llama.attention.key_length", head_size)
        .F32("llama.attention.layer_norm_rms_epsilon", 1e-5f)
        .String("tokenizer.ggml.model", "gpt2")
        .String("tokenizer.ggml.pre", "gpt-2")
        .Strings("tokenizer.ggml.tokens", tokens)
        .Integers("tokenizer.ggml.token_type", kinds)
        .Strings("tokenizer.ggml.merges", {})
        .U32("tokenizer.ggml.eos_token_id", kEndToken)
        .String("tokenizer.chat_template",
                "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
                "message['content'] + "
                "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
                "'<|im_start|>assistant\\n' }}"
                "{% endif %}");
  }

  GgufWriter& WriteTensors(GgufWriter& writer) const {
    RandomWeights weights{std::mt19937(5)};
    const auto matrix = [&](const std::string& name, std::uint64_t rows, std::uint64_t columns,
                            float size) {
      if (name == left_out) return;
      writer.Tensor(name, {columns, rows}, TensorType(), weights.Matrix(type, rows, columns, size));
    };
    const auto norm = [&](const std::string& name) {
      if (name == left_out) return;
      writer.Tensor(name, {width}, 0, weights.Ones(width));
    };
    matrix("token_embd.weight", kVocabulary, width, weight_sizes[0]);
    if (!tied) matrix("output.weight", kVocabulary, width, weight_sizes[2]);
    norm("output_norm.weight");
    for (std::uint32_t i = 0; i < layers; ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      norm(layer + "attn_norm.weight");
      norm(layer + "ffn_norm.weight");
      matrix(layer + "attn_q.weight", heads * head_size, width, weight_sizes[1]);
      matrix(layer + "attn_k.weight", kv_heads * head_size, width, weight_sizes[1]);
      matrix(layer + "attn_v.weight", kv_heads * head_size, width, weight_sizes[1]);
      matrix(layer + "attn_output.weight", width, heads * head_size, weight_sizes[1]);
      matrix(layer + "ffn_gate.weight", feed_forward, width, weight_sizes[1]);
      matrix(layer + "ffn_up.weight", feed_forward, width, weight_sizes[1]);
      matrix(layer + "ffn_down.weight", width, feed_forward, weight_sizes[1]);
    }
    for (const std::string& name : extra_tensors)
      writer.Tensor(name, {width}, 0, weights.Ones(width));
    return writer;
  }

 private:
  std::uint32_t TensorType() const {
    return type == WeightType::kF32 ? 0 : type == WeightType::kF16 ? 1 : 8;
  }

  struct RandomWeights {
    std::mt19937 random;

    Bytes Matrix(WeightType type, std::uint64_t rows, std::uint64_t columns, float size) {
      Bytes data;
      if (type == WeightType::kQ8_0) {
        for (std::uint64_t block = 0; block < rows * columns / 32; ++block) {
          GgufWriter::Append(data, std::uint16_t{0x1400});  // 2^-10
          for (int i = 0; i < 32; ++i) data.push_back(static_cast<std::uint8_t>(random()));
        }
        return data;
      }
      std::normal_distribution<float> normal(0, size / std::sqrt(static_cast<float>(columns)));
      for (std::uint64_t i = 0; i < rows * columns; ++i) {
        if (type == WeightType::kF32) {
          GgufWriter::Append(data, normal(random));
        } else {
          // Sign, one of eight exponents from 2^-8 on, mantissa.
          GgufWriter::Append(
              data, static_cast<std::uint16_t>((random() & 0x83FF) | (7 + random() % 8) << 10));
        }
      }
      return data;
    }
    static Bytes Ones(std::uint64_t count) {
      Bytes data;
      for (std::uint64_t i = 0; i < count; ++i) GgufWriter::Append(data, 1.0f);
      return data;
    }
  };
};

}  // namespace fallow::engine
