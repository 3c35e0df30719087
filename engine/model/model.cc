#include "engine/model/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/model/model_load.h"

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

std::uint32_t RowsOf(const GraphBuffer& buffer, const WorkspaceSize& size) {
  return buffer.of_outputs ? size.max_outputs : size.max_rows;
}

KvShape CacheShape(const ModelShape& shape, const WorkspaceSize& size) {
  return {size.page_count, shape.attention.kv_head_count, shape.attention.head_size};
}

std::uint64_t GraphWorkspaceBytes(const Graph& graph, const ModelShape& shape,
                                  const Backend& backend, const WorkspaceSize& size) {
  std::uint64_t bytes = backend.StepBytes(shape.attention, size.max_rows, size.pages_per_row);
  for (const GraphBuffer& buffer : graph.buffers)
    bytes += backend.TensorBytes(RowsOf(buffer, size), buffer.columns, buffer.forms);
  return bytes + graph.caches.size() * backend.KvCacheBytes(CacheShape(shape, size));
}

struct GraphWorkspace final : Model::Workspace {
  WorkspaceSize size;
  std::vector<std::unique_ptr<Tensor>> buffers;
  std::vector<std::unique_ptr<KvCache>> caches;
};

// Runs a graph's operators on a backend, step by step.
class GraphModel final : public Model {
 public:
  GraphModel(ModelFile file, ModelWeights weights, std::uint64_t weight_bytes, Backend& backend)
      : card_(std::move(file.card)),
        shape_(file.shape),
        graph_(std::move(file.graph)),
        tokenizer_(std::move(file.tokenizer)),
        chat_format_(std::move(file.chat_format)),
        weights_(std::move(weights)),
        weight_bytes_(weight_bytes),
        backend_(backend) {
    // The file's bytes go when it has been loaded.
    for (GraphWeight& weight : graph_.weights) weight.tensor = nullptr;
    if (chat_format_ == nullptr) chat_format_ = std::make_unique<NoChatFormat>();
  }

  Backend& backend() override { return backend_; }
  const ModelCard& card() const override { return card_; }
  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  const ChatFormat& chat_format() const override { return *chat_format_; }
  bool looks_ahead() const override { return shape_.looks_ahead; }
  std::uint64_t WeightBytes() const override { return weight_bytes_; }

  std::uint32_t RotaryOffset(std::uint32_t tokens) const override {
    const bool has_short_part = RotaryTableRows(shape_) > shape_.context_length;
    return has_short_part && tokens <= shape_.short_context ? shape_.context_length : 0;
  }

  std::uint64_t WorkspaceBytes(const WorkspaceSize& size) const override {
    return GraphWorkspaceBytes(graph_, shape_, backend_, size);
  }

  std::unique_ptr<Workspace> NewWorkspace(const WorkspaceSize& size) override {
    auto workspace = std::make_unique<GraphWorkspace>();
    workspace->size = size;
    return workspace;
  }

  Status Allocate(Workspace& workspace, const StepControl& control) override {
    auto& own = static_cast<GraphWorkspace&>(workspace);
    const WorkspaceSize& size = own.size;
    while (own.buffers.size() < graph_.buffers.size()) {
      const GraphBuffer& buffer = graph_.buffers[own.buffers.size()];
      FALLOW_ASSIGN_OR_RETURN(auto tensor, backend_.NewTensor(RowsOf(buffer, size), buffer.columns,
                                                              buffer.forms, control));
      own.buffers.push_back(std::move(tensor));
    }
    while (own.caches.size() < graph_.caches.size()) {
      FALLOW_ASSIGN_OR_RETURN(auto cache, backend_.NewKvCache(CacheShape(shape_, size), control));
      own.caches.push_back(std::move(cache));
    }
    return {};
  }

  Status Forward(Workspace& workspace, const StepRows& rows,
                 std::span<const std::uint32_t> output_rows, StepOutput output,
                 const StepControl& control) override {
    auto& own = static_cast<GraphWorkspace&>(workspace);
    const auto output_count = static_cast<std::uint32_t>(output_rows.size());
    FALLOW_CHECK(rows.count() >= 1 && rows.count() <= own.size.max_rows);
    FALLOW_CHECK(output_count >= 1 && output_count <= own.size.max_outputs);
    FALLOW_RETURN_IF_ERROR(backend_.BeginStep(rows));
    const std::size_t end = output.logits.empty() ? graph_.first_logits_op : graph_.ops.size();
    for (std::size_t i = 0; i < end; ++i)
      Record(graph_.ops[i], own, {rows.count(), output_count}, output_rows);
    FALLOW_RETURN_IF_ERROR(backend_.Finish(control));
    FALLOW_RETURN_IF_ERROR(
        backend_.Download(Buffer(own, graph_.state), output_count, output.hidden));
    if (output.logits.empty()) return {};
    return backend_.Download(Buffer(own, graph_.logits), output_count, output.logits);
  }

 private:
  struct Counts {
    std::uint32_t rows = 0;
    std::uint32_t outputs = 0;
  };

  Tensor& Buffer(GraphWorkspace& workspace, Value value) const {
    return *workspace.buffers[graph_.At(value).buffer];
  }

  void Record(const GraphOp& op, GraphWorkspace& w, const Counts& counts,
              std::span<const std::uint32_t> output_rows) {
    Tensor& x = Buffer(w, op.x);
    Tensor& y = Buffer(w, op.y);
    Tensor& out = Buffer(w, op.out);
    const std::uint32_t rows = graph_.At(op.out).of_outputs ? counts.outputs : counts.rows;
    switch (op.kind) {
      case GraphOpKind::kEmbed:
        return backend_.Embed(*weights_.matrices[op.weight], op.embed_by, out);
      case GraphOpKind::kRmsNorm:
        return backend_.RmsNorm(x, *weights_.rows[op.weight], op.number, out, rows);
      case GraphOpKind::kLayerNorm:
        return backend_.LayerNorm(x, *weights_.rows[op.weight], *weights_.rows[op.bias], op.number,
                                  out, rows);
      case GraphOpKind::kMatMul:
        return backend_.MatMul(*weights_.matrices[op.weight], x, out, rows);
      case GraphOpKind::kRope:
        return backend_.Rope(x, *weights_.rotary_tables[op.table], op.rotary);
      case GraphOpKind::kStoreKv:
        return backend_.StoreKv(x, y, *w.caches[op.cache]);
      case GraphOpKind::kAttention:
        return backend_.Attention(x, *w.caches[op.cache], op.attention, out);
      case GraphOpKind::kAdd:
        return backend_.Add(x, y);
      case GraphOpKind::kAddRow:
        return backend_.AddRow(x, *weights_.rows[op.weight]);
      case GraphOpKind::kScale:
        return backend_.Scale(x, op.number);
      case GraphOpKind::kSiluMul:
        return backend_.SiluMul(x, y);
      case GraphOpKind::kGeluMul:
        return backend_.GeluMul(x, y);
      case GraphOpKind::kGeluErf:
        return backend_.GeluErf(x);
      case GraphOpKind::kSoftcap:
        return backend_.Softcap(x, op.number, rows);
      case GraphOpKind::kGatherRows:
        return backend_.GatherRows(x, output_rows, out);
    }
  }

  ModelCard card_;
  ModelShape shape_;
  Graph graph_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatFormat> chat_format_;
  ModelWeights weights_;
  std::uint64_t weight_bytes_;
  Backend& backend_;
};

// A model that cannot run is refused before its weights are moved anywhere.
Status CheckItFits(const ModelFile& file, const Backend& backend, std::uint64_t weight_bytes) {
  const WorkspaceSize smallest{
      .max_rows = 1, .max_outputs = 1, .page_count = 1, .pages_per_row = 1};
  const std::uint64_t workspace_bytes =
      GraphWorkspaceBytes(file.graph, file.shape, backend, smallest);
  const std::uint64_t memory_bytes = backend.info().memory_bytes;
  if (weight_bytes + workspace_bytes <= memory_bytes) return {};
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("the model is too large for this device: its weights take {} bytes and "
                          "the shortest sequence {} more, of {} bytes; weights of up to {} would "
                          "fit",
                          weight_bytes, workspace_bytes, memory_bytes,
                          memory_bytes - std::min(memory_bytes, workspace_bytes)));
}

}  // namespace

Status ModelLoad::Read(const StepControl& control) {
  std::vector<Error> refusals;
  std::unique_ptr<ModelFile> read = ReadModelFile(file_, refusals, control);
  // What was not read to its end is refused for that.
  FALLOW_RETURN_IF_ERROR(control.GoOn());
  if (!refusals.empty()) return std::unexpected(std::move(refusals.front()));
  FALLOW_RETURN_IF_ERROR(CheckItFits(*read, backend_, ModelWeightBytes(*read, backend_)));
  read_ = std::move(read);
  return {};
}

Result<std::unique_ptr<Model>> ModelLoad::Run(const StepControl& control) {
  if (read_ == nullptr) FALLOW_RETURN_IF_ERROR(Read(control));
  FALLOW_RETURN_IF_ERROR(LoadModelWeights(*read_, backend_, control, weights_));
  const std::uint64_t weight_bytes = ModelWeightBytes(*read_, backend_);
  return std::make_unique<GraphModel>(std::move(*read_), std::move(weights_), weight_bytes,
                                      backend_);
}

Result<std::unique_ptr<Model>> Model::Load(ByteView file, Backend& backend,
                                           const StepControl& control) {
  return ModelLoad(file, backend).Run(control);
}

}  // namespace fallow::engine
