// The body of a line for /v1/embeddings, field by field.
#include <fmt/format.h>

#include <string>
#include <utility>

#include "coordinator/core/limits.h"
#include "coordinator/core/line_bodies.h"
#include "coordinator/core/line_checks.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

namespace dom = simdjson::dom;

// A line's own limit is the closer one, so texts and token ids need no check of their sum.
static_assert(kMaxBatchLineBytes <= kMaxRequestTextBytes);
static_assert(kMaxBatchLineBytes / 2 <= kMaxInputTokenIds);  // a token id and a comma: two bytes

constexpr std::string_view kKinds =
    "a string, an array of strings, an array of token ids or an array of such arrays";

Problem ReadText(dom::element value, const std::string& at, EmbeddingInput& input) {
  const auto text = AsString(value);
  if (!text) return Invalid(at, fmt::format("{} must be a string, as those before it", at));
  if (text->empty()) return Invalid(at, fmt::format("{} is an empty string", at));
  input.text = *text;
  return std::nullopt;
}

Problem ReadTokenIds(dom::array array, const std::string& at, EmbeddingInput& input) {
  for (const dom::element item : array) {
    const auto id = AsInteger(item);
    if (!id || *id < 0 || *id > INT32_MAX) {
      const std::string param = fmt::format("{}[{}]", at, input.token_ids.size());
      return Invalid(param, fmt::format("{} must be a token id: an integer of at least 0", param));
    }
    input.token_ids.push_back(static_cast<std::uint32_t>(*id));
  }
  if (input.token_ids.empty()) return Invalid(at, fmt::format("{} is an empty array", at));
  return std::nullopt;
}

// An array whose first element says what the others must be, too.
Problem ReadInputs(dom::array array, const std::string& param,
                   std::vector<EmbeddingInput>& inputs) {
  const dom::element first = *array.begin();
  if (first.is_number()) return ReadTokenIds(array, param, inputs.emplace_back());
  const bool texts = first.is_string();
  if (!texts && !first.is_array())
    return Invalid(param, fmt::format("{} must be {}", param, kKinds));
  for (const dom::element item : array) {
    if (inputs.size() == kMaxEmbeddingInputs) {
      return Invalid(param, fmt::format("{} has more than {} inputs: put the rest on another line",
                                        param, kMaxEmbeddingInputs));
    }
    const std::string at = fmt::format("{}[{}]", param, inputs.size());
    EmbeddingInput& input = inputs.emplace_back();
    dom::array ids;
    if (texts) {
      if (auto problem = ReadText(item, at, input)) return problem;
    } else if (item.get(ids)) {
      return Invalid(at, fmt::format("{} must be an array of token ids, as those before it", at));
    } else if (auto problem = ReadTokenIds(ids, at, input)) {
      return problem;
    }
  }
  return std::nullopt;
}

Problem ReadInput(const std::string& param, dom::element value,
                  std::vector<EmbeddingInput>& inputs) {
  if (value.is_string()) return ReadText(value, param, inputs.emplace_back());
  dom::array array;
  if (value.get(array)) return Invalid(param, fmt::format("{} must be {}", param, kKinds));
  if (array.begin() == array.end())
    return Invalid(param, fmt::format("{} is an empty array", param));
  return ReadInputs(array, param, inputs);
}

Problem ReadEncoding(const std::string& param, dom::element value, VectorEncoding& encoding) {
  const auto name = AsString(value);
  if (name != "float" && name != "base64")
    return Invalid(param, fmt::format("{} must be \"float\" or \"base64\"", param));
  encoding = name == "float" ? VectorEncoding::kFloat : VectorEncoding::kBase64;
  return std::nullopt;
}

Problem ReadDimensions(const std::string& param, dom::element value, std::uint32_t& dimensions) {
  const auto number = AsInteger(value);
  if (!number || *number < 1 || *number > std::int64_t{kMaxEmbeddingLength}) {
    return Invalid(param,
                   fmt::format("{} must be an integer from 1 to {}", param, kMaxEmbeddingLength));
  }
  dimensions = static_cast<std::uint32_t>(*number);
  return std::nullopt;
}

}  // namespace

Problem ReadEmbeddingsField(std::string_view key, dom::element value, BatchLine& line) {
  const std::string param = "body." + std::string(key.substr(0, 64));
  if (key == "input") return ReadInput(param, value, line.request.inputs);
  if (value.is_null() || key == "user") return std::nullopt;
  if (key == "encoding_format") return ReadEncoding(param, value, line.vector_encoding);
  if (key == "dimensions") return ReadDimensions(param, value, line.dimensions);
  return Unsupported(param,
                     "an embeddings line has model, input, encoding_format, dimensions and user");
}

}  // namespace fallow
