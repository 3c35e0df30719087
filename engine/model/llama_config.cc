#include "engine/model/llama_config.h"

#include <fmt/format.h>

#include <set>

#include "engine/gguf/split_part.h"
#include "engine/model/limits.h"

namespace fallow::engine {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}
std::unexpected<Error> NotComputed(std::string message) {
  return Fail(ErrorCode::kUnimplemented, std::move(message));
}

class ConfigReader {
 public:
  explicit ConfigReader(const GgufFile& file) : file_(file) {}

  Result<LlamaConfig> Run() {
    FALLOW_RETURN_IF_ERROR(RefuseUnknownLogic());
    FALLOW_RETURN_IF_ERROR(ReadSizes());
    FALLOW_RETURN_IF_ERROR(ReadHeads());
    FALLOW_RETURN_IF_ERROR(ReadNumbers());
    FALLOW_RETURN_IF_ERROR(CheckTensors());
    return config_;
  }

 private:
  Status RefuseUnknownLogic() {
    FALLOW_ASSIGN_OR_RETURN(const auto scaling, file_.FindString("llama.rope.scaling.type"));
    if (scaling.has_value() && *scaling != "none") {
      return NotComputed(
          fmt::format("llama.rope.scaling.type \"{}\" is not computed", Shown(*scaling)));
    }
    // Without a type a factor means linear scaling.
    for (const std::string_view key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
      FALLOW_ASSIGN_OR_RETURN(const auto factor, file_.FindFloat(key));
      if (!scaling.has_value() && factor.value_or(1.0) != 1.0 && *factor != 0.0)
        return NotComputed(fmt::format("{} {} is not computed", key, *factor));
    }
    for (const std::string_view key : {"llama.expert_count", "llama.attention.sliding_window"}) {
      FALLOW_ASSIGN_OR_RETURN(const auto value, file_.FindUint(key));
      if (value.value_or(0) != 0)
        return NotComputed(fmt::format("{} {} is not computed", key, *value));
    }
    FALLOW_ASSIGN_OR_RETURN(const auto causal, file_.FindBool("llama.attention.causal"));
    if (!causal.value_or(true)) return NotComputed("llama.attention.causal false is not computed");
    return CheckIsWhole(file_);
  }

  Status ReadSize(std::string_view key, std::uint64_t limit, std::uint32_t& size) {
    FALLOW_ASSIGN_OR_RETURN(const std::uint64_t value, file_.RequireUint(key));
    if (value == 0 || value > limit)
      return Bad(fmt::format("{}: {}; 1 to {} are allowed", key, value, limit));
    size = static_cast<std::uint32_t>(value);
    return {};
  }

  Status ReadSizes() {
    FALLOW_RETURN_IF_ERROR(
        ReadSize("llama.context_length", kMaxContextTokens, config_.context_length));
    FALLOW_RETURN_IF_ERROR(ReadSize("llama.block_count", kMaxLayers, config_.layer_count));
    FALLOW_RETURN_IF_ERROR(
        ReadSize("llama.embedding_length", kMaxEmbeddingLength, config_.embedding_length));
    return ReadSize("llama.feed_forward_length", kMaxFeedForwardLength,
                    config_.feed_forward_length);
  }

  Status ReadHeads() {
    FALLOW_RETURN_IF_ERROR(ReadSize("llama.attention.head_count", kMaxHeads, config_.head_count));
    config_.kv_head_count = config_.head_count;
    if (file_.Find("llama.attention.head_count_kv") != nullptr) {
      FALLOW_RETURN_IF_ERROR(
          ReadSize("llama.attention.head_count_kv", kMaxHeads, config_.kv_head_count));
    }
    if (config_.head_count % config_.kv_head_count != 0) {
      return Bad(fmt::format("llama.attention.head_count {} is no multiple of head_count_kv {}",
                             config_.head_count, config_.kv_head_count));
    }
    if (file_.Find("llama.attention.key_length") != nullptr) {
      FALLOW_RETURN_IF_ERROR(
          ReadSize("llama.attention.key_length", kMaxHeadValues, config_.head_size));
    } else if (config_.embedding_length % config_.head_count != 0) {
      return Bad(fmt::format("llama.embedding_length {} is no multiple of head_count {}",
                             config_.embedding_length, config_.head_count));
    } else {
      config_.head_size = config_.embedding_length / config_.head_count;
    }
    if (config_.head_size % 2 != 0 || config_.head_size > kMaxHeadValues) {
      return NotComputed(fmt::format("heads of {} values are not computed; even sizes up to {} are",
                                     config_.head_size, kMaxHeadValues));
    }
    for (const std::string_view key :
         {"llama.attention.value_length", "llama.rope.dimension_count"}) {
      FALLOW_ASSIGN_OR_RETURN(const auto value, file_.FindUint(key));
      if (value.value_or(config_.head_size) != config_.head_size) {
        return NotComputed(
            fmt::format("{} {} with heads of {} is not computed", key, *value, config_.head_size));
      }
    }
    return {};
  }

  Status ReadNumbers() {
    constexpr std::string_view kEpsilonKey = "llama.attention.layer_norm_rms_epsilon";
    FALLOW_ASSIGN_OR_RETURN(const double epsilon, file_.RequireFloat(kEpsilonKey));
    // The contract's reciprocal square root wants what it adds this to away from denormals.
    if (!(epsilon >= 1e-12 && epsilon <= 1.0)) {
      return Bad(fmt::format("{}: {}; 1e-12 to 1 are allowed", kEpsilonKey, epsilon));
    }
    config_.norm_epsilon = static_cast<float>(epsilon);
    constexpr std::string_view kBaseKey = "llama.rope.freq_base";
    FALLOW_ASSIGN_OR_RETURN(const auto base, file_.FindFloat(kBaseKey));
    config_.rope_base = base.value_or(10'000.0);
    if (!(config_.rope_base >= 1.0 && config_.rope_base <= 1e12)) {
      return Bad(fmt::format("{}: {}; 1 to 1e12 are allowed", kBaseKey, config_.rope_base));
    }
    return {};
  }

  // `columns` inputs, `rows` outputs.
  Status CheckMatrix(std::string_view name, std::uint64_t rows, std::uint64_t columns) {
    const GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) return Bad(fmt::format("tensor {} is missing", name));
    known_.insert(tensor->name);
    if (tensor->dimensions[0] != columns || tensor->dimensions[1] != rows ||
        tensor->dimensions[2] != 1 || tensor->dimensions[3] != 1) {
      return Bad(fmt::format("tensor {}: {} x {} values; {} x {} expected", name,
                             tensor->dimensions[0], tensor->dimensions[1], columns, rows));
    }
    const std::string_view type = tensor->type->name;
    const bool norm = rows == 1;
    if (type != "F32" && (norm || (type != "F16" && type != "Q8_0"))) {
      return NotComputed(fmt::format("tensor {}: type {} is not computed; {}", name, type,
                                     norm ? "F32 is" : "F32, F16 and Q8_0 are"));
    }
    return {};
  }

  Status CheckTensors() {
    const LlamaConfig& c = config_;
    const GgufTensor* embedding = file_.FindTensor("token_embd.weight");
    if (embedding == nullptr) return Bad("tensor token_embd.weight is missing");
    FALLOW_ASSIGN_OR_RETURN(const auto tokens, file_.RequireStrings("tokenizer.ggml.tokens"));
    config_.vocabulary_size = static_cast<std::uint32_t>(tokens.size());
    FALLOW_RETURN_IF_ERROR(CheckMatrix("token_embd.weight", c.vocabulary_size, c.embedding_length));
    FALLOW_RETURN_IF_ERROR(CheckMatrix("output_norm.weight", 1, c.embedding_length));
    config_.tied_output = file_.FindTensor("output.weight") == nullptr;
    if (!config_.tied_output) {
      FALLOW_RETURN_IF_ERROR(CheckMatrix("output.weight", c.vocabulary_size, c.embedding_length));
    }
    for (std::uint32_t layer = 0; layer < c.layer_count; ++layer)
      FALLOW_RETURN_IF_ERROR(CheckLayer(layer));
    for (const GgufTensor& tensor : file_.tensors()) {
      if (!known_.contains(tensor.name)) {
        return NotComputed(fmt::format(
            "tensor {} has no place in what is computed of a llama model", Shown(tensor.name)));
      }
    }
    return {};
  }

  Status CheckLayer(std::uint32_t layer) {
    const LlamaConfig& c = config_;
    const struct {
      std::string_view part;
      std::uint32_t rows;
      std::uint32_t columns;
    } expected[] = {
        {"attn_norm", 1, c.embedding_length},
        {"attn_q", c.q_length(), c.embedding_length},
        {"attn_k", c.kv_length(), c.embedding_length},
        {"attn_v", c.kv_length(), c.embedding_length},
        {"attn_output", c.embedding_length, c.q_length()},
        {"ffn_norm", 1, c.embedding_length},
        {"ffn_gate", c.feed_forward_length, c.embedding_length},
        {"ffn_up", c.feed_forward_length, c.embedding_length},
        {"ffn_down", c.embedding_length, c.feed_forward_length},
    };
    for (const auto& [part, rows, columns] : expected) {
      FALLOW_RETURN_IF_ERROR(CheckMatrix(LayerTensorName(layer, part), rows, columns));
    }
    return {};
  }

  const GgufFile& file_;
  LlamaConfig config_;
  std::set<std::string_view> known_;
};

}  // namespace

std::string LayerTensorName(std::uint32_t layer, std::string_view part) {
  return fmt::format("blk.{}.{}.weight", layer, part);
}

Result<LlamaConfig> ReadLlamaConfig(const GgufFile& file) {
  return ConfigReader(file).Run();
}

}  // namespace fallow::engine
