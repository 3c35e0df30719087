#include "engine/model/graph_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace fallow::engine {
namespace {

std::string ComputedTypes() {
  std::vector<std::string_view> names;
  for (const WeightFormat& format : AllWeightFormats()) names.push_back(format.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// "a, b, c and 7 more"
std::string FirstOf(std::span<const std::string> names) {
  constexpr std::size_t kNamed = 3;
  const std::size_t more = names.size() - std::min(names.size(), kNamed);
  return fmt::format("{}{}", fmt::join(names.first(names.size() - more), ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

}  // namespace

void GraphBuilder::EnterLayer(std::uint32_t layer) {
  prefix_ = fmt::format("blk.{}.", layer);
}

// --- Values and operators ---------------------------------------------------------------------

Value GraphBuilder::NewValue(std::uint32_t columns) {
  graph_.values.push_back({columns, of_outputs_});
  return Value(graph_.values.size() - 1);
}

GraphOp& GraphBuilder::Append(GraphOpKind kind, Value x, Value out) {
  GraphOp& op = graph_.ops.emplace_back();
  op.kind = kind;
  op.x = op.y = x;
  op.out = out;
  return op;
}

Value GraphBuilder::Embed(std::string_view table, std::uint32_t table_rows, EmbedBy by) {
  const std::uint32_t weight =
      MatrixWeight(table, {0, table_rows, table_rows}, shape_.embedding_length);
  const Value out = NewValue(shape_.embedding_length);
  GraphOp& op = Append(GraphOpKind::kEmbed, out, out);
  op.weight = weight;
  op.embed_by = by;
  return out;
}

Value GraphBuilder::RmsNorm(Value x, std::string_view weight) {
  const std::uint32_t columns = ColumnsOf(x);
  const std::uint32_t row = RowWeight(Name(weight, "weight"), {0, 1, 1}, columns);
  const Value out = NewValue(columns);
  GraphOp& op = Append(GraphOpKind::kRmsNorm, x, out);
  op.weight = row;
  op.number = shape_.norm_epsilon;
  return out;
}

Value GraphBuilder::LayerNorm(Value x, std::string_view name) {
  const std::uint32_t columns = ColumnsOf(x);
  const std::uint32_t weight = RowWeight(Name(name, "weight"), {0, 1, 1}, columns);
  const std::uint32_t bias = RowWeight(Name(name, "bias"), {0, 1, 1}, columns);
  const Value out = NewValue(columns);
  GraphOp& op = Append(GraphOpKind::kLayerNorm, x, out);
  op.weight = weight;
  op.bias = bias;
  op.number = shape_.norm_epsilon;
  return out;
}

void GraphBuilder::HeadNorm(Value x, std::string_view weight) {
  const std::uint32_t row =
      RowWeight(Name(weight, "weight"), {0, 1, 1}, shape_.attention.head_size);
  GraphOp& op = Append(GraphOpKind::kRmsNorm, x, x);
  op.weight = row;
  op.number = shape_.norm_epsilon;
}

void GraphBuilder::Rope(Value x, const RotarySpec& spec) {
  const auto found = std::ranges::find(graph_.rotary_tables, spec);
  const auto table = static_cast<std::uint32_t>(found - graph_.rotary_tables.begin());
  if (found == graph_.rotary_tables.end()) {
    graph_.rotary_tables.push_back(spec);
    for (const std::string& divisors : {spec.divisors, spec.short_divisors}) {
      if (divisors.empty()) continue;
      const GgufTensor* tensor = CheckTensor(divisors, 1, spec.size / 2);
      if (tensor != nullptr && tensor->type->name != "F32") {
        refusals_.AddNotComputed(
            fmt::format("tensor {}: type {}; F32 is computed", divisors, tensor->type->name));
      }
    }
  }
  GraphOp& op = Append(GraphOpKind::kRope, x, x);
  op.table = table;
  op.rotary = {shape_.attention.head_size, spec.size, spec.pairs};
}

void GraphBuilder::Add(Value x, Value y) {
  Append(GraphOpKind::kAdd, x, x).y = y;
}

void GraphBuilder::AddRow(Value x, std::string_view table, std::uint32_t row) {
  const GgufTensor* tensor = Find(table);
  const std::uint64_t rows = tensor == nullptr ? 0 : tensor->dimensions[1];
  const auto expected =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(rows, row + 1, kMaxMatrixColumns));
  const std::uint32_t weight = RowWeight(Name(table, "weight"), {row, 1, expected}, ColumnsOf(x));
  Append(GraphOpKind::kAddRow, x, x).weight = weight;
}

void GraphBuilder::Scale(Value x, float factor) {
  Append(GraphOpKind::kScale, x, x).number = factor;
}

void GraphBuilder::GeluErf(Value x) {
  Append(GraphOpKind::kGeluErf, x, x);
}

// --- Blocks -----------------------------------------------------------------------------------

Value GraphBuilder::Product(Value x, std::string_view name, const Slice& slice) {
  const std::uint32_t weight = MatrixWeight(name, slice, ColumnsOf(x));
  const Value out = NewValue(slice.rows);
  Append(GraphOpKind::kMatMul, x, out).weight = weight;
  return out;
}

void GraphBuilder::AddBias(Value x, std::string_view name, const Slice& slice, Bias bias) {
  const auto row = BiasRow(name, slice, bias);
  if (row.has_value()) Append(GraphOpKind::kAddRow, x, x).weight = *row;
}

Value GraphBuilder::Linear(Value x, std::string_view name, std::uint32_t outputs, Bias bias) {
  const Slice whole{0, outputs, outputs};
  const Value out = Product(x, name, whole);
  AddBias(out, name, whole, bias);
  return out;
}

QueryKeyValue GraphBuilder::ProjectQkv(Value x, Bias bias) {
  const std::uint32_t q = shape_.q_length();
  const std::uint32_t kv = shape_.kv_length();
  const bool fused = Find("attn_qkv") != nullptr;
  const struct {
    std::string_view name;
    Slice slice;
  } parts[] = {
      {fused ? "attn_qkv" : "attn_q", fused ? Slice{0, q, q + 2 * kv} : Slice{0, q, q}},
      {fused ? "attn_qkv" : "attn_k", fused ? Slice{q, kv, q + 2 * kv} : Slice{0, kv, kv}},
      {fused ? "attn_qkv" : "attn_v", fused ? Slice{q + kv, kv, q + 2 * kv} : Slice{0, kv, kv}},
  };
  // Products that share an input stand side by side: a backend may compute them together.
  Value values[3];
  for (int i = 0; i < 3; ++i) values[i] = Product(x, parts[i].name, parts[i].slice);
  for (int i = 0; i < 3; ++i) AddBias(values[i], parts[i].name, parts[i].slice, bias);
  return {values[0], values[1], values[2]};
}

Value GraphBuilder::Attention(const QueryKeyValue& qkv, const AttentionShape& shape) {
  const auto cache = static_cast<std::uint32_t>(graph_.caches.size());
  graph_.caches.push_back(shape);
  GraphOp& store = Append(GraphOpKind::kStoreKv, qkv.k, qkv.k);
  store.y = qkv.v;
  store.cache = cache;
  const Value out = NewValue(shape_.q_length());
  GraphOp& attend = Append(GraphOpKind::kAttention, qkv.q, out);
  attend.cache = cache;
  attend.attention = shape;
  return out;
}

Value GraphBuilder::GateAndJoin(Value gate, Value up, Gate kind) {
  Append(kind == Gate::kSilu ? GraphOpKind::kSiluMul : GraphOpKind::kGeluMul, gate, gate).y = up;
  return Linear(gate, "ffn_down", shape_.embedding_length, Bias::kOptional);
}

Value GraphBuilder::GatedFeedForward(Value x, Gate gate) {
  const Slice whole{0, shape_.feed_forward_length, shape_.feed_forward_length};
  const Value gated = Product(x, "ffn_gate", whole);
  const Value up = Product(x, "ffn_up", whole);
  AddBias(gated, "ffn_gate", whole, Bias::kOptional);
  AddBias(up, "ffn_up", whole, Bias::kOptional);
  return GateAndJoin(gated, up, gate);
}

Value GraphBuilder::FusedGatedFeedForward(Value x, Gate gate) {
  const std::uint32_t length = shape_.feed_forward_length;
  const Value gated = Product(x, "ffn_up", {0, length, 2 * length});
  const Value up = Product(x, "ffn_up", {length, length, 2 * length});
  return GateAndJoin(gated, up, gate);
}

// --- The end ----------------------------------------------------------------------------------

Value GraphBuilder::Outputs(Value x) {
  prefix_.clear();
  of_outputs_ = true;
  const Value out = NewValue(ColumnsOf(x));
  Append(GraphOpKind::kGatherRows, x, out);
  return out;
}

Graph GraphBuilder::Finish(Value state) {
  FALLOW_CHECK(of_outputs_);
  graph_.state = graph_.logits = state;
  graph_.first_logits_op = graph_.ops.size();
  if (shape_.pooling == Pooling::kNone) {
    graph_.logits = Find("output") != nullptr ? Linear(state, "output", shape_.vocabulary_size)
                                              : Linear(state, "token_embd", shape_.vocabulary_size);
    if (shape_.final_softcap != 0)
      Append(GraphOpKind::kSoftcap, graph_.logits, graph_.logits).number = shape_.final_softcap;
  } else if (Find("output") != nullptr) {
    known_.insert("output.weight");  // of a generating model that was made to embed: not used
  }
  RefuseMissingTensors();
  RefuseUnknownTensors();
  if (refusals_.empty()) AssignBuffers(graph_);
  return std::move(graph_);
}

// --- Tensors ----------------------------------------------------------------------------------

std::string GraphBuilder::Name(std::string_view name, std::string_view ending) const {
  return fmt::format("{}{}.{}", prefix_, name, ending);
}

const GgufTensor* GraphBuilder::Find(std::string_view name) const {
  return file_.FindTensor(Name(name, "weight"));
}

const GgufTensor* GraphBuilder::CheckTensor(const std::string& name, std::uint32_t rows,
                                            std::uint32_t columns) {
  const GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) {
    missing_.insert(name);
    return nullptr;
  }
  known_.insert(tensor->name);
  const auto& have = tensor->dimensions;
  if (have[0] != columns || have[1] != rows || have[2] != 1 || have[3] != 1) {
    refusals_.AddWrong(fmt::format("tensor {}: {} x {} values; {} x {} expected", name, have[0],
                                   have[1] * have[2] * have[3], columns, rows));
    return nullptr;
  }
  if (FindWeightFormat(tensor->type->name) == nullptr) {
    if (refused_types_.emplace(tensor->type->name).second) {
      refusals_.AddNotComputed(fmt::format("tensor {}: type {} is not computed; {} are", name,
                                           tensor->type->name, ComputedTypes()));
    }
    return nullptr;
  }
  return tensor;
}

std::uint32_t GraphBuilder::AddWeight(const GraphWeight& weight) {
  if (weight.tensor == nullptr) return 0;  // refused
  if (weight.is_row && FindWeightFormat(weight.tensor->type->name)->is_integer()) {
    refusals_.AddNotComputed(fmt::format(
        "tensor {}: type {} is not computed for norms, biases and rows; F32, F16 and BF16 are",
        weight.tensor->name, weight.tensor->type->name));
    return 0;
  }
  const auto found = std::ranges::find(graph_.weights, weight);
  const auto place = static_cast<std::uint32_t>(found - graph_.weights.begin());
  if (found == graph_.weights.end()) graph_.weights.push_back(weight);
  return place;
}

std::uint32_t GraphBuilder::MatrixWeight(std::string_view name, const Slice& slice,
                                         std::uint32_t columns) {
  return AddWeight({CheckTensor(Name(name, "weight"), slice.all_rows, columns),
                    std::uint64_t{slice.first_row} * columns, slice.rows, columns, false});
}

std::uint32_t GraphBuilder::RowWeight(const std::string& name, const Slice& slice,
                                      std::uint32_t columns) {
  return AddWeight({CheckTensor(name, slice.all_rows, columns),
                    std::uint64_t{slice.first_row} * columns, 1, columns, true});
}

std::optional<std::uint32_t> GraphBuilder::BiasRow(std::string_view name, const Slice& slice,
                                                   Bias bias) {
  const std::string full_name = Name(name, "bias");
  if (bias == Bias::kNone) return std::nullopt;
  if (bias == Bias::kOptional && file_.FindTensor(full_name) == nullptr) return std::nullopt;
  const GgufTensor* tensor = CheckTensor(full_name, 1, slice.all_rows);
  return AddWeight({tensor, slice.first_row, 1, slice.rows, true});
}

void GraphBuilder::RefuseMissingTensors() {
  const std::vector<std::string> names(missing_.begin(), missing_.end());
  if (names.empty()) return;
  refusals_.AddWrong(names.size() == 1 ? fmt::format("tensor {} is missing", names.front())
                                       : fmt::format("tensors {} are missing", FirstOf(names)));
}

void GraphBuilder::RefuseUnknownTensors() {
  std::vector<std::string> unknown;
  for (const GgufTensor& tensor : file_.tensors()) {
    if (!known_.contains(tensor.name)) unknown.push_back(Shown(tensor.name));
  }
  if (unknown.empty()) return;
  refusals_.AddNotComputed(fmt::format("{} {} no place in what is computed of this architecture",
                                       FirstOf(unknown), unknown.size() == 1 ? "has" : "have"));
}

}  // namespace fallow::engine
