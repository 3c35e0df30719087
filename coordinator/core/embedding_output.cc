#include "coordinator/core/embedding_output.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "base/bytes.h"
#include "base/encoding.h"
#include "coordinator/core/limits.h"

namespace fallow {
namespace {

using Json = nlohmann::ordered_json;

// Of a value as text, with its comma; most have fewer.
constexpr std::size_t kUsualValueCharacters = 14;

void AppendNumber(float value, std::string& json) {
  char text[32];
  json.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void AppendValues(std::span<const float> vector, std::string& json) {
  json += '[';
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) json += ',';
    AppendNumber(vector[i], json);
  }
  json += ']';
}

void AppendVector(std::span<const float> vector, VectorEncoding encoding, std::string& json) {
  if (encoding == VectorEncoding::kFloat) return AppendValues(vector, json);
  json += '"';
  json += ToBase64(VectorBytes(vector));
  json += '"';
}

Json UsageJson(const AttemptResult& result) {
  return {{"prompt_tokens", result.prompt_token_count},
          {"total_tokens", result.prompt_token_count}};
}

double Norm(std::span<const float> vector) {
  double square_sum = 0;
  for (const float value : vector) square_sum += double{value} * double{value};
  return std::sqrt(square_sum);
}

}  // namespace

void AppendEmbeddingList(const Job& job, const Request& request, const AttemptResult& result,
                         std::string& json) {
  std::size_t values = 0;
  for (const std::vector<float>& vector : result.embeddings) values += vector.size();
  json.reserve(json.size() + kUsualValueCharacters * values);
  json += R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < result.embeddings.size(); ++i) {
    if (i > 0) json += ',';
    json += R"({"object":"embedding","index":)" + std::to_string(i) + R"(,"embedding":)";
    AppendVector(result.embeddings[i], request.vector_encoding, json);
    json += '}';
  }
  json += R"(],"model":)" + Json(job.model.value).dump();
  json += R"(,"usage":)" + UsageJson(result).dump() + "}";
}

std::string EmbeddingPreviewJson(const Job& job, const AttemptResult& result) {
  Json data = Json::array();
  for (std::size_t i = 0; i < std::min(result.embeddings.size(), kMaxVectorsShown); ++i) {
    const std::span<const float> vector = result.embeddings[i];
    std::string first_values;
    AppendValues(vector.first(std::min(vector.size(), kMaxVectorValuesShown)), first_values);
    data.push_back(
        {{"index", i}, {"norm", Norm(vector)}, {"first_values", Json::parse(first_values)}});
  }
  const std::size_t length = result.embeddings.empty() ? 0 : result.embeddings[0].size();
  return Json{{"object", "embeddings_preview"}, {"vector_count", result.embeddings.size()},
              {"vector_length", length},        {"data", std::move(data)},
              {"model", job.model.value},       {"usage", UsageJson(result)}}
      .dump();
}

}  // namespace fallow
