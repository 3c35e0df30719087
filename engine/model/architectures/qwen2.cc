// Qwen 2 and 2.5 (Yang et al. 2024, arXiv 2407.10671): as LLaMA, with biases on queries, keys and
// values, and rotary pairs taken from the halves of a head.
#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadDecoderKeys(keys, RotaryPairs::kHalves, shape);
}

Value Describe(GraphBuilder& graph, const ModelShape& shape) {
  const Value x = graph.EmbedTokens();
  for (std::uint32_t layer = 0; layer < shape.layer_count; ++layer) {
    graph.EnterLayer(layer);
    const Value normed = graph.RmsNorm(x, "attn_norm");
    const QueryKeyValue qkv = graph.ProjectQkv(normed, Bias::kRequired);
    graph.Rope(qkv.q, shape.rotary);
    graph.Rope(qkv.k, shape.rotary);
    const Value attended = graph.Attention(qkv, shape.attention);
    graph.Add(x, graph.Linear(attended, "attn_output", shape.embedding_length));
    graph.Add(x, graph.GatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kSilu));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kQwen2;
const Architecture kQwen2{"qwen2", ReadKeys, Describe};

}  // namespace fallow::engine
