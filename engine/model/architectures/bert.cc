// BERT (Devlin et al. 2019, arXiv 1810.04805) as embedding models use it: every position sees the
// whole text, learned positions, norms behind the blocks, and the states pooled to one vector.
#include <fmt/format.h>

#include "engine/model/architecture.h"

namespace fallow::engine {
namespace {

void ReadKeys(KeyReader& keys, ModelShape& shape) {
  ReadTransformerKeys(keys, "attention.layer_norm_epsilon", shape);
  shape.looks_ahead = true;
  if (shape.pooling == Pooling::kNone) {
    keys.refusals().AddNotComputed(fmt::format(
        "{} is missing or 0: how the states become one vector is not guessed; 1 (mean), 2 (first) "
        "and 3 (last) are computed",
        keys.Name("pooling_type")));
  }
}

Value Describe(GraphBuilder& graph, const ModelShape& shape) {
  const Value x = graph.EmbedTokens();
  // A text by itself is all of the first type. DistilBERT (Sanh et al. 2019) has no types.
  if (graph.Has("token_types")) graph.AddRow(x, "token_types", 0);
  graph.Add(x, graph.Embed("position_embd", shape.context_length, EmbedBy::kPosition));
  Value state = graph.LayerNorm(x, "token_embd_norm");
  for (std::uint32_t layer = 0; layer < shape.layer_count; ++layer) {
    graph.EnterLayer(layer);
    const QueryKeyValue qkv = graph.ProjectQkv(state, Bias::kRequired);
    const Value attended = graph.Attention(qkv, shape.attention);
    graph.Add(state,
              graph.Linear(attended, "attn_output", shape.embedding_length, Bias::kRequired));
    state = graph.LayerNorm(state, "attn_output_norm");

    const Value fed = graph.Linear(state, "ffn_up", shape.feed_forward_length, Bias::kRequired);
    graph.GeluErf(fed);
    graph.Add(state, graph.Linear(fed, "ffn_down", shape.embedding_length, Bias::kRequired));
    state = graph.LayerNorm(state, "layer_output_norm");
  }
  return graph.Outputs(state);
}

}  // namespace

extern const Architecture kBert;
const Architecture kBert{"bert", ReadKeys, Describe};

}  // namespace fallow::engine
