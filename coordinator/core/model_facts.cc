#include "coordinator/core/model_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocol/limits.h"

namespace fallow {

std::uint32_t ContextLength(const Model& model) {
  const auto json = nlohmann::json::parse(model.card_json, nullptr, false);
  if (!json.is_object()) return 0;
  const auto found = json.find("context_length");
  if (found == json.end() || !found->is_number_unsigned()) return 0;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(found->get<std::uint64_t>(), kMaxGeneratedTokens));
}

std::uint32_t EffectiveMaxTokens(std::uint32_t requested, std::uint32_t context_length) {
  const std::uint32_t most = context_length > 0 ? context_length : kMaxGeneratedTokens;
  return requested == 0 ? most : std::min(requested, most);
}

}  // namespace fallow
