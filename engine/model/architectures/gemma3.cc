// Gemma 3 (Gemma Team 2025, arXiv 2503.19786): Gemma 2 without soft caps on scores, with norms on
// each head's query and key, and windowed layers: five for each that sees everything, unless the
// file says otherwise. They turn by a base of their own, without the scaling. Without a window
// every layer sees everything, and turns as those that do.
#include <cmath>

#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kLayersPerGlobal = 6;
constexpr double kLocalRotaryBase = 10'000;
// As in Gemma 2: the 27 billion model alone has another divisor, and is known by its layers.
constexpr std::uint32_t kLayersOf27b = 62;

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadDecoderKeys(keys, RotaryPairs::kHalves, shape);
  if (keys.file().Find(keys.Name("rope.freq_base")) == nullptr) shape.rotary.base = 1'000'000;
  shape.window = keys.FindSize("attention.sliding_window", kMaxContextTokens).value_or(0);
  shape.window_period =
      keys.FindSize("attention.sliding_window_pattern", kMaxLayers).value_or(kLayersPerGlobal);
  shape.window_rotary_base =
      keys.FindReal("rope.freq_base_swa", kRotaryBaseLimits).value_or(kLocalRotaryBase);
  shape.final_softcap =
      static_cast<float>(keys.FindReal("final_logit_softcapping", {0, 1e6}).value_or(0));
  if (shape.layer_count == kLayersOf27b)
    shape.attention.scale_divisor = shape.embedding_length / shape.attention.head_count;
}

Value Describe(GraphBuilder& graph, const ModelShape& shape) {
  RotarySpec local_rotary;
  local_rotary.size = shape.rotary.size;
  local_rotary.pairs = shape.rotary.pairs;
  local_rotary.base = shape.window_rotary_base;

  const Value x = graph.EmbedTokens();
  graph.Scale(x, std::sqrt(static_cast<float>(shape.embedding_length)));
  for (std::uint32_t layer = 0; layer < shape.layer_count; ++layer) {
    graph.EnterLayer(layer);
    const bool global =
        shape.window == 0 || (shape.window_period != 0 && (layer + 1) % shape.window_period == 0);
    const RotarySpec& rotary = global ? shape.rotary : local_rotary;
    AttentionShape attention = shape.attention;
    attention.window = global ? 0 : shape.window;

    const Value normed = graph.RmsNorm(x, "attn_norm");
    const QueryKeyValue qkv = graph.ProjectQkv(normed, Bias::kNone);
    graph.HeadNorm(qkv.q, "attn_q_norm");
    graph.HeadNorm(qkv.k, "attn_k_norm");
    graph.Rope(qkv.q, rotary);
    graph.Rope(qkv.k, rotary);
    const Value attended = graph.Attention(qkv, attention);
    const Value projected = graph.Linear(attended, "attn_output", shape.embedding_length);
    graph.Add(x, graph.RmsNorm(projected, "post_attention_norm"));

    const Value fed = graph.GatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kGelu);
    graph.Add(x, graph.RmsNorm(fed, "post_ffw_norm"));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kGemma3;
const Architecture kGemma3{"gemma3", ReadKeys, Describe};

}  // namespace fallow::engine
