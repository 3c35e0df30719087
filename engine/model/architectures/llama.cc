// LLaMA (Touvron et al. 2023, arXiv 2302.13971) and what is built like it: Llama 2 and 3, Mistral,
// SmolLM and many more.
#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadDecoderKeys(keys, RotaryPairs::kNeighbours, shape);
  shape.window = keys.FindSize("attention.sliding_window", kMaxContextTokens).value_or(0);
  shape.attention.window = shape.window;
}

Value Describe(GraphBuilder& graph, const ModelShape& shape) {
  const Value x = graph.EmbedTokens();
  for (std::uint32_t layer = 0; layer < shape.layer_count; ++layer) {
    graph.EnterLayer(layer);
    const Value normed = graph.RmsNorm(x, "attn_norm");
    const QueryKeyValue qkv = graph.ProjectQkv(normed, Bias::kOptional);
    graph.Rope(qkv.q, shape.rotary);
    graph.Rope(qkv.k, shape.rotary);
    const Value attended = graph.Attention(qkv, shape.attention);
    graph.Add(x, graph.Linear(attended, "attn_output", shape.embedding_length, Bias::kOptional));
    graph.Add(x, graph.GatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kSilu));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kLlama;
const Architecture kLlama{"llama", ReadKeys, Describe};

}  // namespace fallow::engine
