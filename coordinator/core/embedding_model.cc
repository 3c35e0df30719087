#include "coordinator/core/embedding_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "protocol/limits.h"

namespace fallow {
namespace {

nlohmann::json FieldOf(const Model& model, const char* name) {
  const auto card = nlohmann::json::parse(model.card_json, nullptr, false);
  if (!card.is_object()) return nullptr;
  const auto found = card.find(name);
  return found == card.end() ? nlohmann::json() : *found;
}

}  // namespace

std::uint32_t EmbeddingLength(const Model& model) {
  const auto length = FieldOf(model, "embedding_length");
  if (!length.is_number_unsigned() || length.get<std::uint64_t>() > kMaxEmbeddingLength) return 0;
  return length.get<std::uint32_t>();
}

bool GivesVectors(const Model& model) {
  const auto pooling = FieldOf(model, "pooling");
  return pooling.is_string() && pooling.get_ref<const std::string&>() != "none";
}

std::optional<JobError> WrongEndpoint(const Model& model, std::string_view endpoint) {
  const bool gives_vectors = GivesVectors(model);
  if (gives_vectors == (endpoint == kEmbeddingsEndpoint)) {
    // The first cards named the template's kind instead.
    const auto chat = FieldOf(model, "chat");
    if (gives_vectors || !chat.is_boolean() || chat.get<bool>()) return std::nullopt;
    return JobError{"no_chat_template",
                    fmt::format("model \"{}\" has no chat template: how it takes messages is not "
                                "known",
                                model.id.value),
                    "body.model", 0};
  }
  return JobError{
      "wrong_endpoint",
      gives_vectors
          ? fmt::format("model \"{}\" gives vectors and does not generate: a batch for it has the "
                        "endpoint \"{}\"",
                        model.id.value, kEmbeddingsEndpoint)
          : fmt::format("model \"{}\" generates and gives no vectors: a batch for it has the "
                        "endpoint \"{}\"",
                        model.id.value, kChatEndpoint),
      "body.model", 0};
}

std::optional<JobError> WrongVectors(const Model& model, const BatchLine& line) {
  const std::uint64_t length = EmbeddingLength(model);
  if (length == 0) return std::nullopt;
  if (line.dimensions != 0 && line.dimensions != length) {
    return JobError{"invalid_value",
                    fmt::format("body.dimensions is {}; model \"{}\" gives vectors of {} values, "
                                "which are not shortened",
                                line.dimensions, model.id.value, length),
                    "body.dimensions", 0};
  }
  const std::uint64_t most = kMaxEmbeddingValues / length;
  if (line.request.inputs.size() > most) {
    return JobError{"invalid_value",
                    fmt::format("body.input has {} inputs; with the {} values of a vector of "
                                "model \"{}\" a line may have {}: put the rest on another line",
                                line.request.inputs.size(), length, model.id.value, most),
                    "body.input", 0};
  }
  return std::nullopt;
}

}  // namespace fallow
