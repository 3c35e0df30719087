// Phi 3, 3.5 and 4 (Abdin et al. 2024, arXiv 2404.14219): as LLaMA, with queries, keys and values
// in one matrix, gate and up in another, and LongRoPE (Ding et al. 2024, arXiv 2402.13753): two
// sets of divisors of the frequencies, for requests within the original context and beyond it.
#include <fmt/format.h>

#include <cmath>

#include "engine/exact_double.h"
#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

constexpr std::string_view kLong = "rope_factors_long.weight";
constexpr std::string_view kShort = "rope_factors_short.weight";

// Scores grow with the context that was added to the original one.
double LongMagnitude(const ModelShape& shape, double original_context) {
  const double ratio = shape.context_length / original_context;
  return ratio <= 1 ? 1 : std::sqrt(1 + DoubleLog(ratio) / DoubleLog(original_context));
}

void ReadLongRope(KeyReader& keys, ModelShape& shape) {
  if (keys.file().FindTensor(kLong) == nullptr && keys.file().FindTensor(kShort) == nullptr) return;
  constexpr std::string_view kOriginal = "rope.scaling.original_context_length";
  const std::uint32_t original = keys.Size(kOriginal, kMaxContextTokens);
  if (original < 2) {
    keys.refusals().AddWrong(
        fmt::format("{}: {}; 2 and more are allowed", keys.Name(kOriginal), original));
    return;
  }
  shape.rotary.magnitude = keys.FindReal("rope.scaling.attn_factor", {1e-3, 1e3})
                               .value_or(LongMagnitude(shape, original));
  shape.rotary.divisors = kLong;
  shape.rotary.short_divisors = kShort;
  shape.short_context = original;
}

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadDecoderKeys(keys, RotaryPairs::kHalves, shape);
  ReadLongRope(keys, shape);
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
    graph.Add(x, graph.Linear(attended, "attn_output", shape.embedding_length));
    graph.Add(x, graph.FusedGatedFeedForward(graph.RmsNorm(x, "ffn_norm"), Gate::kSilu));
  }
  return graph.RmsNorm(graph.Outputs(x), "output_norm");
}

}  // namespace

extern const Architecture kPhi3;
const Architecture kPhi3{"phi3", ReadKeys, Describe};

}  // namespace fallow::engine
