#include "engine/model/card_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace fallow::engine {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint32_t kSequenceCounts[] = {1, 8, 32};
constexpr std::uint32_t kShortSequenceTokens = 2048;

Json MemoryJson(const ModelCard& card) {
  Json rows = Json::array();
  if (card.context_length == 0) return rows;  // it could not be read
  const std::set<std::uint32_t> lengths = {std::min(kShortSequenceTokens, card.context_length),
                                           card.context_length};
  for (const std::uint32_t tokens : lengths) {
    for (const std::uint32_t sequences : kSequenceCounts) {
      rows.push_back({{"sequences", sequences},
                      {"tokens", tokens},
                      {"bytes", card.MemoryBytes(sequences, tokens)}});
    }
  }
  return rows;
}

}  // namespace

std::string_view PoolingName(Pooling pooling) {
  switch (pooling) {
    case Pooling::kNone:
      return "none";
    case Pooling::kMean:
      return "mean";
    case Pooling::kFirst:
      return "cls";
    case Pooling::kLast:
      return "last";
  }
  return "none";
}

std::string CardJson(const ModelCard& card) {
  const Json json = {
      {"architecture", card.architecture},
      {"name", card.name},
      {"license", card.license},
      {"parameter_count", card.parameter_count},
      {"context_length", card.context_length},
      {"layer_count", card.layer_count},
      {"embedding_length", card.embedding_length},
      {"vocabulary_size", card.vocabulary_size},
      {"weight_types", card.weight_types},
      {"tokenizer", card.tokenizer},
      {"chat", card.chat},
      {"pooling", PoolingName(card.pooling)},
      {"weight_bytes", card.weight_bytes},
      {"bytes_per_position", card.bytes_per_position},
      {"memory", MemoryJson(card)},
  };
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fallow::engine
