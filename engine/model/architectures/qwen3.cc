// Qwen 3 (Yang et al. 2025, arXiv 2505.09388): as LLaMA, with an RMS norm on each head's query and
// key before they turn, and rotary pairs taken from the halves of a head. Its embedding models pool
// the last position.
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
    const QueryKeyValue qkv = graph.ProjectQkv(normed, Bias::kOptional);
    graph.HeadNorm(qkv.q, "attn_q_norm");
    graph.HeadNorm(qkv.k, "attn_k_norm");
    graph.Rope(qkv.q, shape.rotary);
    graph.Rope(qkv.k, shape.rotary);
    const Value attended = graph.Attention(qkv, shape.attention);
    graph.Add(x, graph.Linear(attended, "attn_output", shape.embedding_length));
    graph.Add(x, graph.GatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kSilu));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kQwen3;
const Architecture kQwen3{"qwen3", ReadKeys, Describe};

}  // namespace fallow::engine
