#include <fmt/format.h>

#include <map>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "engine/chat/load_chat_format.h"
#include "engine/exact.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/limits.h"
#include "engine/model/llama_config.h"
#include "engine/model/model.h"
#include "engine/model/rope_table.h"
#include "engine/tokenizer/load_tokenizer.h"

namespace fallow::engine {
namespace {

// Stands in for the chat format of a model that has none.
class NoChatFormat final : public ChatFormat {
 public:
  Result<std::vector<std::uint32_t>> Render(std::span<const ChatMessage>,
                                            const Tokenizer&) const override {
    return Fail(ErrorCode::kFailedPrecondition, "the model has no chat template");
  }
};

// Everything of a file that needs no backend.
struct ModelText {
  ModelCard card;
  LlamaConfig config;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatFormat> chat_format;
};

Result<ModelText> ReadModelText(const GgufFile& file, std::uint64_t file_bytes) {
  ModelText text;
  FALLOW_ASSIGN_OR_RETURN(const auto architecture, file.RequireString("general.architecture"));
  if (architecture != "llama") {
    return Fail(
        ErrorCode::kUnimplemented,
        fmt::format("general.architecture \"{}\" is not computed; llama is", Shown(architecture)));
  }
  FALLOW_ASSIGN_OR_RETURN(text.config, ReadLlamaConfig(file));
  FALLOW_ASSIGN_OR_RETURN(text.tokenizer, LoadTokenizer(file));
  FALLOW_ASSIGN_OR_RETURN(text.chat_format, LoadChatFormat(file, *text.tokenizer));
  FALLOW_ASSIGN_OR_RETURN(const auto name, file.FindString("general.name"));
  FALLOW_ASSIGN_OR_RETURN(const auto tokenizer_model, file.RequireString("tokenizer.ggml.model"));
  FALLOW_ASSIGN_OR_RETURN(const auto tokenizer_rule, file.RequireString("tokenizer.ggml.pre"));
  std::map<std::string_view, std::uint32_t> types;
  for (const GgufTensor& tensor : file.tensors()) {
    text.card.parameter_count += tensor.element_count();
    ++types[tensor.type->name];
  }
  for (const auto& [type, count] : types) {
    text.card.weight_types +=
        fmt::format("{}{} {}", text.card.weight_types.empty() ? "" : ", ", type, count);
  }
  text.card.architecture = architecture;
  text.card.name = ToValidUtf8(name.value_or(""), kMaxModelNameBytes);
  text.card.file_bytes = file_bytes;
  text.card.context_length = text.config.context_length;
  text.card.layer_count = text.config.layer_count;
  text.card.embedding_length = text.config.embedding_length;
  text.card.vocabulary_size = text.config.vocabulary_size;
  text.card.tokenizer = fmt::format("{} ({})", tokenizer_model, tokenizer_rule);
  text.card.chat = text.chat_format != nullptr;
  if (!text.card.chat) text.chat_format = std::make_unique<NoChatFormat>();
  return text;
}

struct Layer {
  std::unique_ptr<Tensor> attention_norm;
  std::unique_ptr<Matrix> q, k, v, attention_output;
  std::unique_ptr<Tensor> feed_forward_norm;
  std::unique_ptr<Matrix> gate, up, down;
};

struct Weights {
  std::unique_ptr<Matrix> embedding;
  std::unique_ptr<Matrix> output;  // null when tied
  std::unique_ptr<Tensor> output_norm;
  std::unique_ptr<Tensor> rope_table;
  std::vector<Layer> layers;
};

WeightType WeightTypeOf(const GgufTensor& tensor) {
  if (tensor.type->name == "F32") return WeightType::kF32;
  if (tensor.type->name == "F16") return WeightType::kF16;
  FALLOW_CHECK(tensor.type->name == "Q8_0");
  return WeightType::kQ8_0;
}

// Puts the tensors of a checked file on a backend.
class WeightLoader {
 public:
  WeightLoader(const GgufFile& file, const LlamaConfig& config, Backend& backend)
      : file_(file), config_(config), backend_(backend) {}

  Result<Weights> Run() {
    FALLOW_RETURN_IF_ERROR(LoadMatrix("token_embd.weight", weights_.embedding));
    if (!config_.tied_output) FALLOW_RETURN_IF_ERROR(LoadMatrix("output.weight", weights_.output));
    FALLOW_RETURN_IF_ERROR(LoadVector("output_norm.weight", weights_.output_norm));
    FALLOW_RETURN_IF_ERROR(LoadRopeTable());
    for (std::uint32_t i = 0; i < config_.layer_count; ++i) FALLOW_RETURN_IF_ERROR(LoadLayer(i));
    return std::move(weights_);
  }

 private:
  const GgufTensor& Get(std::string_view name) const {
    const GgufTensor* tensor = file_.FindTensor(name);
    FALLOW_CHECK(tensor != nullptr);
    return *tensor;
  }

  Status LoadMatrix(const std::string& name, std::unique_ptr<Matrix>& matrix) {
    const GgufTensor& tensor = Get(name);
    auto loaded =
        backend_.NewMatrix(WeightTypeOf(tensor), static_cast<std::uint32_t>(tensor.dimensions[1]),
                           static_cast<std::uint32_t>(tensor.dimensions[0]), tensor.bytes);
    if (!loaded.has_value()) return Wrap(std::move(loaded).error(), "tensor " + name);
    matrix = *std::move(loaded);
    return {};
  }

  Status LoadVector(const std::string& name, std::unique_ptr<Tensor>& vector) {
    const GgufTensor& tensor = Get(name);
    std::vector<float> values(tensor.dimensions[0]);
    std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(float));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if ((std::bit_cast<std::uint32_t>(values[i]) & 0x7F800000u) == 0x7F800000u) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("tensor {}: value {} is not a finite number", name, i));
      }
      values[i] = ExactWeight(values[i]);
    }
    FALLOW_ASSIGN_OR_RETURN(vector,
                            backend_.NewTensor(1, static_cast<std::uint32_t>(values.size())));
    return backend_.Upload(*vector, values);
  }

  Status LoadRopeTable() {
    FALLOW_ASSIGN_OR_RETURN(weights_.rope_table,
                            backend_.NewTensor(config_.context_length, config_.head_size));
    return backend_.Upload(*weights_.rope_table,
                           RopeTable(config_.head_size, config_.context_length, config_.rope_base));
  }

  Status LoadLayer(std::uint32_t i) {
    Layer& layer = weights_.layers.emplace_back();
    const auto name = [i](std::string_view part) { return LayerTensorName(i, part); };
    FALLOW_RETURN_IF_ERROR(LoadVector(name("attn_norm"), layer.attention_norm));
    FALLOW_RETURN_IF_ERROR(LoadMatrix(name("attn_q"), layer.q));
    FALLOW_RETURN_IF_ERROR(LoadMatrix(name("attn_k"), layer.k));
    FALLOW_RETURN_IF_ERROR(LoadMatrix(name("attn_v"), layer.v));
    FALLOW_RETURN_IF_ERROR(LoadMatrix(name("attn_output"), layer.attention_output));
    FALLOW_RETURN_IF_ERROR(LoadVector(name("ffn_norm"), layer.feed_forward_norm));
    FALLOW_RETURN_IF_ERROR(LoadMatrix(name("ffn_gate"), layer.gate));
    FALLOW_RETURN_IF_ERROR(LoadMatrix(name("ffn_up"), layer.up));
    return LoadMatrix(name("ffn_down"), layer.down);
  }

  const GgufFile& file_;
  const LlamaConfig& config_;
  Backend& backend_;
  Weights weights_;
};

struct LlamaWorkspace final : Model::Workspace {
  std::uint32_t max_rows = 0;
  std::unique_ptr<Tensor> x, normed, q, k, v, attended, gate, up, change;
  std::unique_ptr<Tensor> output_x, output_normed, logits;
  std::vector<std::unique_ptr<KvCache>> caches;
};

class LlamaModel final : public Model {
 public:
  LlamaModel(ModelText text, Weights weights, Backend& backend)
      : text_(std::move(text)), weights_(std::move(weights)), backend_(backend) {}

  Backend& backend() override { return backend_; }
  const ModelCard& card() const override { return text_.card; }
  const Tokenizer& tokenizer() const override { return *text_.tokenizer; }
  const ChatFormat& chat_format() const override { return *text_.chat_format; }

  Result<std::unique_ptr<Workspace>> NewWorkspace(std::uint32_t max_rows,
                                                  std::uint32_t page_count) override {
    auto workspace = std::make_unique<LlamaWorkspace>();
    workspace->max_rows = max_rows;
    const LlamaConfig& c = text_.config;
    const struct {
      std::unique_ptr<Tensor>& tensor;
      std::uint32_t columns;
    } wanted[] = {
        {workspace->x, c.embedding_length},
        {workspace->normed, c.embedding_length},
        {workspace->q, c.q_length()},
        {workspace->k, c.kv_length()},
        {workspace->v, c.kv_length()},
        {workspace->attended, c.q_length()},
        {workspace->gate, c.feed_forward_length},
        {workspace->up, c.feed_forward_length},
        {workspace->change, c.embedding_length},
        {workspace->output_x, c.embedding_length},
        {workspace->output_normed, c.embedding_length},
        {workspace->logits, c.vocabulary_size},
    };
    for (const auto& [tensor, columns] : wanted) {
      FALLOW_ASSIGN_OR_RETURN(tensor, backend_.NewTensor(max_rows, columns));
    }
    for (std::uint32_t i = 0; i < c.layer_count; ++i) {
      FALLOW_ASSIGN_OR_RETURN(auto cache,
                              backend_.NewKvCache({page_count, c.kv_head_count, c.head_size}));
      workspace->caches.push_back(std::move(cache));
    }
    return workspace;
  }

  std::uint64_t WorkspaceBytes(std::uint32_t max_rows, std::uint32_t page_count) const override {
    const LlamaConfig& c = text_.config;
    const std::uint64_t row_values = std::uint64_t{5} * c.embedding_length + 2 * c.q_length() +
                                     2 * c.kv_length() + 2 * c.feed_forward_length +
                                     c.vocabulary_size;
    // fp32, and an int8 form with a scale and a sum per block.
    const std::uint64_t row_bytes = row_values * 4 + row_values + row_values / kQuantBlock * 8;
    const std::uint64_t head_blocks = (c.head_size + kQuantBlock - 1) / kQuantBlock;
    const std::uint64_t position_bytes = 2 * head_blocks * c.kv_head_count * (kQuantBlock + 4);
    return max_rows * row_bytes +
           std::uint64_t{page_count} * kPagePositions * position_bytes * c.layer_count;
  }

  Status Forward(Workspace& workspace, const StepRows& rows,
                 std::span<const std::uint32_t> output_rows, StepOutput output,
                 const StopFlag& stop) override {
    auto& w = static_cast<LlamaWorkspace&>(workspace);
    const LlamaConfig& c = text_.config;
    const auto output_count = static_cast<std::uint32_t>(output_rows.size());
    FALLOW_CHECK(rows.count() >= 1 && rows.count() <= w.max_rows && output_count >= 1);
    FALLOW_RETURN_IF_ERROR(backend_.BeginStep(rows));
    backend_.Embed(*weights_.embedding, EmbedBy::kToken, *w.x);
    for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
      RecordLayer(weights_.layers[i], *w.caches[i], rows.count(), w);
    }
    backend_.GatherRows(*w.x, output_rows, *w.output_x);
    backend_.RmsNorm(*w.output_x, *weights_.output_norm, c.norm_epsilon, *w.output_normed,
                     output_count);
    const Matrix& output_matrix = c.tied_output ? *weights_.embedding : *weights_.output;
    backend_.MatMul(output_matrix, *w.output_normed, *w.logits, output_count);
    FALLOW_RETURN_IF_ERROR(backend_.Finish(stop));
    FALLOW_RETURN_IF_ERROR(backend_.Download(*w.output_normed, output_count, output.hidden));
    return backend_.Download(*w.logits, output_count, output.logits);
  }

 private:
  void RecordLayer(const Layer& layer, KvCache& cache, std::uint32_t rows, LlamaWorkspace& w) {
    const LlamaConfig& c = text_.config;
    backend_.RmsNorm(*w.x, *layer.attention_norm, c.norm_epsilon, *w.normed, rows);
    backend_.MatMul(*layer.q, *w.normed, *w.q, rows);
    backend_.MatMul(*layer.k, *w.normed, *w.k, rows);
    backend_.MatMul(*layer.v, *w.normed, *w.v, rows);
    backend_.Rope(*w.q, *weights_.rope_table, {c.head_size, c.head_size});
    backend_.Rope(*w.k, *weights_.rope_table, {c.head_size, c.head_size});
    backend_.StoreKv(*w.k, *w.v, cache);
    backend_.Attention(*w.q, cache, {c.head_count, c.kv_head_count, c.head_size, c.head_size}, *w.attended);
    backend_.MatMul(*layer.attention_output, *w.attended, *w.change, rows);
    backend_.Add(*w.x, *w.change);
    backend_.RmsNorm(*w.x, *layer.feed_forward_norm, c.norm_epsilon, *w.normed, rows);
    backend_.MatMul(*layer.gate, *w.normed, *w.gate, rows);
    backend_.MatMul(*layer.up, *w.normed, *w.up, rows);
    backend_.SiluMul(*w.gate, *w.up);
    backend_.MatMul(*layer.down, *w.gate, *w.change, rows);
    backend_.Add(*w.x, *w.change);
  }

  ModelText text_;
  Weights weights_;
  Backend& backend_;
};

}  // namespace

ModelReport ReadModelReport(ByteView file) {
  const auto gguf = GgufFile::Parse(file);
  if (!gguf.has_value()) return {.refusals = {gguf.error()}};
  return ReadModelReport(*gguf, file.size());
}

ModelReport ReadModelReport(const GgufFile& file, std::uint64_t file_bytes) {
  ModelReport report;
  auto text = ReadModelText(file, file_bytes);
  if (text.has_value()) {
    report.card = std::move(text->card);
  } else {
    report.refusals.push_back(std::move(text).error());
  }
  return report;
}

std::uint64_t ModelCard::MemoryBytes(std::uint32_t sequence_count, std::uint32_t tokens) const {
  return weight_bytes + std::uint64_t{sequence_count} * tokens * bytes_per_position;
}

Result<ModelCard> ReadModelCard(ByteView file) {
  FALLOW_ASSIGN_OR_RETURN(const GgufFile gguf, GgufFile::Parse(file));
  FALLOW_ASSIGN_OR_RETURN(ModelText text, ReadModelText(gguf, file.size()));
  return std::move(text.card);
}

Result<std::unique_ptr<Model>> Model::Load(ByteView file, Backend& backend) {
  FALLOW_ASSIGN_OR_RETURN(const GgufFile gguf, GgufFile::Parse(file));
  FALLOW_ASSIGN_OR_RETURN(ModelText text, ReadModelText(gguf, file.size()));
  FALLOW_ASSIGN_OR_RETURN(Weights weights, WeightLoader(gguf, text.config, backend).Run());
  return std::make_unique<LlamaModel>(std::move(text), std::move(weights), backend);
}

}  // namespace fallow::engine
