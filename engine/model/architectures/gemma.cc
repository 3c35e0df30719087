// Gemma (Gemma Team 2024, arXiv 2403.08295): as LLaMA, with embeddings times the square root of
// their length, a GELU gate and rotary pairs taken from the halves of a head. Files hold the norms'
// weights with the 1 that the paper adds.
#include <cmath>

#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadDecoderKeys(keys, RotaryPairs::kHalves, shape);
}

Value Describe(GraphBuilder& graph, const ModelShape& shape) {
  const Value x = graph.EmbedTokens();
  graph.Scale(x, std::sqrt(static_cast<float>(shape.embedding_length)));
  for (std::uint32_t layer = 0; layer < shape.layer_count; ++layer) {
    graph.EnterLayer(layer);
    const Value normed = graph.RmsNorm(x, "attn_norm");
    const QueryKeyValue qkv = graph.ProjectQkv(normed, Bias::kNone);
    graph.Rope(qkv.q, shape.rotary);
    graph.Rope(qkv.k, shape.rotary);
    const Value attended = graph.Attention(qkv, shape.attention);
    graph.Add(x, graph.Linear(attended, "attn_output", shape.embedding_length));
    graph.Add(x, graph.GatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kGelu));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kGemma;
const Architecture kGemma{"gemma", ReadKeys, Describe};

}  // namespace fallow::engine
