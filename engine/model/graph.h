// A Graph is a model's computation as a list of a backend's operators on numbered values.
//
// Invariant: operators are in data-flow order; values whose lives do not overlap share a buffer.
// It refers to weights by number, so it outlives the file it was described from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/model_shape.h"

namespace fallow::engine {

// A value of a step: some columns for each row of the step, or for each row that is put out.
enum class Value : std::uint32_t {};

struct GraphValue {
  std::uint32_t columns = 0;
  bool of_outputs = false;  // has a row for each output row
  std::uint32_t buffer = 0;
};

// What holds values, one at a time.
struct GraphBuffer {
  std::uint32_t columns = 0;
  bool of_outputs = false;
  Int8Forms forms{false, false};
};

// Values of a tensor of the file, from one on: a matrix, or one row that norms and biases read.
struct GraphWeight {
  const GgufTensor* tensor = nullptr;
  std::uint64_t first_value = 0;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  bool is_row = false;
  bool operator==(const GraphWeight&) const = default;
};

enum class GraphOpKind : std::uint8_t {
  kEmbed,
  kRmsNorm,
  kLayerNorm,
  kMatMul,
  kRope,
  kStoreKv,
  kAttention,
  kAdd,
  kAddRow,
  kScale,
  kSiluMul,
  kGeluMul,
  kGeluErf,
  kSoftcap,
  kGatherRows
};

struct GraphOp {
  GraphOpKind kind = GraphOpKind::kAdd;
  Value x{};    // first input, or what is changed in place
  Value y{};    // second input
  Value out{};  // as x for what works in place
  std::uint32_t weight = 0;
  std::uint32_t bias = 0;
  std::uint32_t cache = 0;
  std::uint32_t table = 0;  // rotary
  float number = 0;         // epsilon, factor or cap
  EmbedBy embed_by = EmbedBy::kToken;
  RotaryShape rotary;
  AttentionShape attention;
};

struct Graph {
  std::vector<GraphValue> values;
  std::vector<GraphBuffer> buffers;
  std::vector<GraphWeight> weights;
  std::vector<RotarySpec> rotary_tables;
  std::vector<AttentionShape> caches;  // a cache for each, with the attention that reads it
  std::vector<GraphOp> ops;
  std::size_t first_logits_op = 0;  // from here on only logits are computed
  Value state{};
  Value logits{};  // none in a model without an output matrix: the state again

  const GraphValue& At(Value value) const { return values[static_cast<std::uint32_t>(value)]; }
};

// Gives every value a buffer. Values of different kinds or columns never share one.
void AssignBuffers(Graph& graph);

}  // namespace fallow::engine
