// Gemma 2 (Gemma Team 2024, arXiv 2408.00118): Gemma with a norm behind each block as well, soft
// caps on scores and logits, and a window on every second layer, the first among them.
#include <cmath>

#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

// The 27 billion model alone divides scores by the root of embedding_length / head_count, not of
// the head's size. Files do not say so; it is known by its layers.
constexpr std::uint32_t kLayersOf27b = 46;

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadDecoderKeys(keys, RotaryPairs::kHalves, shape);
  shape.window = keys.FindSize("attention.sliding_window", kMaxContextTokens).value_or(4096);
  constexpr RealLimits kCapLimits{0, 1e6};
  shape.attention.softcap =
      static_cast<float>(keys.FindReal("attn_logit_softcapping", kCapLimits).value_or(50));
  shape.final_softcap =
      static_cast<float>(keys.FindReal("final_logit_softcapping", kCapLimits).value_or(30));
  if (shape.layer_count == kLayersOf27b)
    shape.attention.scale_divisor = shape.embedding_length / shape.attention.head_count;
}

Value Describe(GraphBuilder& graph, const ModelShape& shape) {
  const Value x = graph.EmbedTokens();
  graph.Scale(x, std::sqrt(static_cast<float>(shape.embedding_length)));
  for (std::uint32_t layer = 0; layer < shape.layer_count; ++layer) {
    graph.EnterLayer(layer);
    AttentionShape attention = shape.attention;
    attention.window = layer % 2 == 0 ? shape.window : 0;

    const Value normed = graph.RmsNorm(x, "attn_norm");
    const QueryKeyValue qkv = graph.ProjectQkv(normed, Bias::kNone);
    graph.Rope(qkv.q, shape.rotary);
    graph.Rope(qkv.k, shape.rotary);
    const Value attended = graph.Attention(qkv, attention);
    const Value projected = graph.Linear(attended, "attn_output", shape.embedding_length);
    graph.Add(x, graph.RmsNorm(projected, "post_attention_norm"));

    const Value fed = graph.GatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kGelu);
    graph.Add(x, graph.RmsNorm(fed, "post_ffw_norm"));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kGemma2;
const Architecture kGemma2{"gemma2", ReadKeys, Describe};

}  // namespace fallow::engine
