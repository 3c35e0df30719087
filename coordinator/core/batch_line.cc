#include "coordinator/core/batch_line.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/line_bodies.h"
#include "coordinator/core/line_checks.h"

namespace fallow {
namespace {

namespace dom = simdjson::dom;

JobError Broken(std::string message) {
  return {"invalid_json_line", std::move(message), "", 0};
}

Problem ReadModel(dom::element value, ModelId& model) {
  const auto name = AsString(value);
  if (!name || name->empty()) return Invalid("body.model", "body.model must be a non-empty string");
  if (name->size() > kMaxModelIdBytes) {
    return Invalid("body.model",
                   fmt::format("body.model is longer than {} bytes", kMaxModelIdBytes));
  }
  model = ModelId(std::string(*name));
  return std::nullopt;
}

// What an endpoint's body must have beside a model, and who reads its fields.
struct BodyKind {
  std::string_view endpoint;
  std::string_view required;
  Problem (*read_field)(std::string_view key, dom::element value, BatchLine& line);
};

const BodyKind& BodyKindOf(std::string_view endpoint) {
  static constexpr BodyKind kChat = {kChatEndpoint, "messages", &ReadChatField};
  static constexpr BodyKind kEmbeddings = {kEmbeddingsEndpoint, "input", &ReadEmbeddingsField};
  FALLOW_CHECK(IsEndpoint(endpoint));
  return endpoint == kChat.endpoint ? kChat : kEmbeddings;
}

Problem ReadBody(dom::element value, const BodyKind& kind, BatchLine& line) {
  dom::object body;
  if (value.get(body)) return Invalid("body", "body must be an object");
  bool has_required = false;
  std::vector<std::string_view> seen;
  for (const auto& [key, field] : body) {
    for (const std::string_view other : seen) {
      if (other == key) return Invalid("body", fmt::format("body has {} twice", Quoted(key)));
    }
    if (seen.size() == 64) return Invalid("body", "body has more than 64 fields");
    seen.push_back(key);
    has_required = has_required || key == kind.required;
    auto problem =
        key == "model" ? ReadModel(field, line.model) : kind.read_field(key, field, line);
    if (problem) return problem;
  }
  if (line.model.empty()) return Missing("body.model");
  if (!has_required) return Missing(fmt::format("body.{}", kind.required));
  return std::nullopt;
}

Problem ReadCustomId(dom::element value, std::string& custom_id) {
  const auto text = AsString(value);
  if (!text || text->empty() || text->size() > kMaxCustomIdBytes) {
    return Invalid("custom_id",
                   fmt::format("custom_id must be a string of 1 to {} bytes", kMaxCustomIdBytes));
  }
  for (const char character : *text) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f)
      return Invalid("custom_id", "custom_id must not hold control characters");
  }
  custom_id = *text;
  return std::nullopt;
}

Problem ReadLine(dom::object object, std::string_view endpoint, BatchLine& line) {
  std::optional<dom::element> custom_id, method, url, body;
  for (const auto& [key, value] : object) {
    std::optional<dom::element>* slot = key == "custom_id" ? &custom_id
                                        : key == "method"  ? &method
                                        : key == "url"     ? &url
                                        : key == "body"    ? &body
                                                           : nullptr;
    if (slot == nullptr) {
      return JobError{
          "unsupported_parameter",
          fmt::format("a line has custom_id, method, url and body alone, not {}", Quoted(key)),
          std::string(key.substr(0, 64)), 0};
    }
    if (slot->has_value()) return Invalid(key, fmt::format("{} is there twice", key));
    *slot = value;
  }
  if (!custom_id) return Missing("custom_id");
  if (!method) return Missing("method");
  if (!url) return Missing("url");
  if (!body) return Missing("body");
  if (auto problem = ReadCustomId(*custom_id, line.custom_id)) return problem;
  if (AsString(*method) != "POST")
    return JobError{"invalid_method", "method must be \"POST\"", "method", 0};
  if (AsString(*url) != endpoint) {
    return JobError{"invalid_url",
                    fmt::format("url must be the batch's endpoint, \"{}\"", endpoint), "url", 0};
  }
  return ReadBody(*body, BodyKindOf(endpoint), line);
}

}  // namespace

std::expected<BatchLine, JobError> ParseBatchLine(std::string_view line,
                                                  std::string_view endpoint) {
  if (line.size() > kMaxBatchLineBytes) {
    return std::unexpected(
        JobError{"line_too_long",
                 fmt::format("the line is longer than {} bytes", kMaxBatchLineBytes), "", 0});
  }
  // Kept for its buffers alone: nothing of one line is seen by the next.
  thread_local dom::parser parser;
  if (parser.capacity() < kMaxBatchLineBytes || parser.max_depth() != kMaxBatchLineDepth) {
    if (parser.allocate(kMaxBatchLineBytes, kMaxBatchLineDepth))
      return std::unexpected(Broken("no memory to parse the line"));
  }
  dom::element root;
  if (const auto error = parser.parse(line.data(), line.size()).get(root)) {
    if (error == simdjson::DEPTH_ERROR) {
      return std::unexpected(
          Broken(fmt::format("the line nests deeper than {} levels", kMaxBatchLineDepth)));
    }
    return std::unexpected(
        Broken(fmt::format("the line is not valid JSON: {}", simdjson::error_message(error))));
  }
  dom::object object;
  if (root.get(object)) return std::unexpected(Broken("the line is not a JSON object"));
  BatchLine parsed;
  if (auto problem = ReadLine(object, endpoint, parsed))
    return std::unexpected(*std::move(problem));
  return parsed;
}

}  // namespace fallow
