// A GraphBuilder is what an architecture describes itself with: each call names a tensor of the
// file, checks that it is there with its shape and a type we compute, and appends the operator that
// uses it. So one description is the list of tensors, the memory plan and the computation.
//
// Tensors of a layer are named without "blk.N." and without ".weight": in layer 3 "attn_q" is
// `blk.3.attn_q.weight`. What is wrong is added to the refusals; the description goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "engine/gguf/gguf_file.h"
#include "engine/model/graph.h"
#include "engine/model/model_shape.h"
#include "engine/model/refusals.h"

namespace fallow::engine {

// Whether a product has `NAME.bias` beside `NAME.weight`.
enum class Bias : std::uint8_t { kNone, kOptional, kRequired };

// What gates a feed-forward block.
enum class Gate : std::uint8_t { kSilu, kGelu };

struct QueryKeyValue {
  Value q, k, v;
};

class GraphBuilder {
 public:
  GraphBuilder(const GgufFile& file, const ModelShape& shape, Refusals& refusals)
      : file_(file), shape_(shape), refusals_(refusals) {}

  // Tensors named from here on are layer `layer`'s, until Outputs.
  void EnterLayer(std::uint32_t layer);

  // Whether the file has NAME.weight, for what a family's models may lack.
  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  // Values, each row by itself.
  Value Embed(std::string_view table, std::uint32_t table_rows, EmbedBy by);
  Value EmbedTokens() { return Embed("token_embd", shape_.vocabulary_size, EmbedBy::kToken); }
  Value RmsNorm(Value x, std::string_view weight);
  Value LayerNorm(Value x, std::string_view name);  // NAME.weight and NAME.bias
  Value Linear(Value x, std::string_view name, std::uint32_t outputs, Bias bias = Bias::kNone);

  // In place.
  void HeadNorm(Value x, std::string_view weight);  // each head by itself
  void Rope(Value x, const RotarySpec& spec);
  void Add(Value x, Value y);
  void AddRow(Value x, std::string_view table, std::uint32_t row);  // a row of a table to each
  void Scale(Value x, float factor);
  void GeluErf(Value x);

  // Blocks that most families share. Queries, keys and values come from `attn_q`, `attn_k` and
  // `attn_v`, or from the rows of `attn_qkv` where the file has that instead.
  QueryKeyValue ProjectQkv(Value x, Bias bias);
  Value Attention(const QueryKeyValue& qkv, const AttentionShape& shape);
  // ffn_down(gate(ffn_gate x) * (ffn_up x)).
  Value GatedFeedForward(Value x, Gate gate);
  // The same where `ffn_up` holds the gate's rows, then the others.
  Value FusedGatedFeedForward(Value x, Gate gate);

  // The rows that are put out. Leaves the layers.
  Value Outputs(Value x);
  // Ends the description: `state` chooses tokens through `output`, or through the embedding where
  // there is none; a model that embeds has neither.
  Graph Finish(Value state);

 private:
  struct Slice {
    std::uint32_t first_row = 0;
    std::uint32_t rows = 0;
    std::uint32_t all_rows = 0;
  };
  std::string Name(std::string_view name, std::string_view ending) const;
  const GgufTensor* Find(std::string_view name) const;  // NAME.weight; null: there is none
  const GgufTensor* CheckTensor(const std::string& name, std::uint32_t rows, std::uint32_t columns);
  std::uint32_t AddWeight(const GraphWeight& weight);
  std::uint32_t MatrixWeight(std::string_view name, const Slice& slice, std::uint32_t columns);
  std::uint32_t RowWeight(const std::string& name, const Slice& slice, std::uint32_t columns);
  std::optional<std::uint32_t> BiasRow(std::string_view name, const Slice& slice, Bias bias);
  Value Product(Value x, std::string_view name, const Slice& slice);
  void AddBias(Value x, std::string_view name, const Slice& slice, Bias bias);
  Value GateAndJoin(Value gate, Value up, Gate kind);

  Value NewValue(std::uint32_t columns);
  std::uint32_t ColumnsOf(Value value) const { return graph_.At(value).columns; }
  GraphOp& Append(GraphOpKind kind, Value x, Value out);
  void RefuseMissingTensors();
  void RefuseUnknownTensors();

  const GgufFile& file_;
  const ModelShape& shape_;
  Refusals& refusals_;
  Graph graph_;
  std::string prefix_;
  bool of_outputs_ = false;
  std::set<std::string_view> known_;                  // tensors that have a place
  std::set<std::string, std::less<>> missing_;        // tensors that are not there
  std::set<std::string, std::less<>> refused_types_;  // each is named once
};

}  // namespace fallow::engine
