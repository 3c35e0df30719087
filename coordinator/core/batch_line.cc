#include "coordinator/core/batch_line.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/core/limits.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

namespace dom = simdjson::dom;

// What a check of one value says: nothing, or what is wrong.
using Problem = std::optional<JobError>;

JobError Invalid(std::string_view param, std::string message) {
  return {"invalid_value", std::move(message), std::string(param), 0};
}
JobError Missing(std::string_view param) {
  return {"missing_required_parameter", fmt::format("{} is required", param), std::string(param),
          0};
}
JobError Unsupported(std::string_view param, std::string_view reason) {
  return {"unsupported_parameter", fmt::format("{} is not supported: {}", param, reason),
          std::string(param), 0};
}
JobError Broken(std::string message) {
  return {"invalid_json_line", std::move(message), "", 0};
}

// A foreign text in a message: short, and cut between characters.
std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 64;
  if (text.size() <= kShown) return fmt::format("\"{}\"", text);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}…\"", text.substr(0, end));
}

std::optional<std::string_view> AsString(dom::element value) {
  std::string_view text;
  if (value.get(text)) return std::nullopt;
  return text;
}
std::optional<std::int64_t> AsInteger(dom::element value) {
  std::int64_t number = 0;
  if (!value.get(number)) return number;
  double real = 0;  // JSON has one kind of number: 32.0 is 32
  if (value.get(real) || std::trunc(real) != real || std::abs(real) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(real);
}
std::optional<double> AsNumber(dom::element value) {
  double number = 0;
  if (value.get(number)) return std::nullopt;
  return number;
}

// --- Messages ---------------------------------------------------------------------------------

Problem ReadParts(dom::array parts, const std::string& param, std::string& content) {
  std::size_t index = 0;
  for (const dom::element part : parts) {
    const std::string at = fmt::format("{}[{}]", param, index++);
    dom::object object;
    if (part.get(object)) return Invalid(at, fmt::format("{} must be an object", at));
    std::optional<std::string_view> type, text;
    for (const auto& [key, value] : object) {
      if (key == "type") {
        type = AsString(value);
      } else if (key == "text") {
        text = AsString(value);
        if (!text) return Invalid(at + ".text", fmt::format("{}.text must be a string", at));
      } else if (!value.is_null() && type.value_or("text") == "text") {
        return Unsupported(at + "." + std::string(key), "a text part has type and text alone");
      }
    }
    if (type != "text")
      return Unsupported(at, "models here read text; a part must have type \"text\"");
    if (!text) return Missing(at + ".text");
    content += *text;
  }
  return std::nullopt;
}

Problem ReadMessage(dom::element value, const std::string& at, ChatMessage& message) {
  dom::object object;
  if (value.get(object)) return Invalid(at, fmt::format("{} must be an object", at));
  bool has_content = false;
  for (const auto& [key, field] : object) {
    const std::string param = at + "." + std::string(key);
    if (key == "role") {
      const auto role = AsString(field);
      if (!role) return Invalid(param, fmt::format("{} must be a string", param));
      if (*role != "system" && *role != "developer" && *role != "user" && *role != "assistant") {
        return Invalid(
            param, fmt::format("{} is {}; it must be system, developer, user or assistant", param,
                               Quoted(*role)));
      }
      message.role = *role == "developer" ? "system" : std::string(*role);
    } else if (key == "content") {
      dom::array parts;
      if (const auto text = AsString(field)) {
        message.content = *text;
      } else if (!field.get(parts)) {
        if (auto problem = ReadParts(parts, param, message.content)) return problem;
      } else {
        return Invalid(param, fmt::format("{} must be a string or an array of text parts", param));
      }
      has_content = true;
    } else if (!field.is_null()) {
      return Unsupported(param, "a message has role and content alone");
    }
  }
  if (message.role.empty()) return Missing(at + ".role");
  if (!has_content) return Missing(at + ".content");
  return std::nullopt;
}

Problem ReadMessages(dom::element value, std::vector<ChatMessage>& messages) {
  dom::array array;
  if (value.get(array)) return Invalid("body.messages", "body.messages must be an array");
  std::size_t text_bytes = 0;
  for (const dom::element item : array) {
    if (messages.size() == kMaxMessagesPerRequest) {
      return Invalid("body.messages", fmt::format("body.messages has more than {} messages",
                                                  kMaxMessagesPerRequest));
    }
    const std::string at = fmt::format("body.messages[{}]", messages.size());
    if (auto problem = ReadMessage(item, at, messages.emplace_back())) return problem;
    text_bytes += messages.back().content.size();
  }
  if (messages.empty()) return Invalid("body.messages", "body.messages must not be empty");
  if (text_bytes > kMaxRequestTextBytes) {
    return Invalid("body.messages", fmt::format("body.messages hold more than {} bytes of text",
                                                kMaxRequestTextBytes));
  }
  return std::nullopt;
}

// --- Parameters -------------------------------------------------------------------------------

Problem ReadTokenLimit(const std::string& param, dom::element value, std::uint32_t& max_tokens) {
  const auto number = AsInteger(value);
  if (!number || *number < 1 || *number > kMaxGeneratedTokens) {
    return Invalid(param,
                   fmt::format("{} must be an integer from 1 to {}", param, kMaxGeneratedTokens));
  }
  const auto limit = static_cast<std::uint32_t>(*number);
  if (max_tokens != 0 && max_tokens != limit)
    return Invalid(param, "body.max_tokens and body.max_completion_tokens differ: give one");
  max_tokens = limit;
  return std::nullopt;
}

Problem ReadReal(const std::string& param, dom::element value, double low, double high,
                 bool low_allowed, float& target) {
  const auto number = AsNumber(value);
  if (!number || !(*number >= low) || *number > high || (*number == low && !low_allowed)) {
    return Invalid(param, fmt::format("{} must be a number {} {} and at most {}", param,
                                      low_allowed ? "of at least" : "above", low, high));
  }
  target = static_cast<float>(*number);
  // A positive number too small for a float is not zero.
  if (!low_allowed && !(target > static_cast<float>(low)))
    return Invalid(param, fmt::format("{} is too small", param));
  return std::nullopt;
}

Problem ReadStop(dom::element value, std::vector<std::string>& stop) {
  if (const auto text = AsString(value)) {
    stop.emplace_back(*text);
  } else {
    dom::array array;
    if (value.get(array))
      return Invalid("body.stop", "body.stop must be a string or an array of strings");
    for (const dom::element item : array) {
      const auto entry = AsString(item);
      if (!entry) return Invalid("body.stop", "body.stop must hold strings alone");
      if (stop.size() == kMaxStopStrings) {
        return Invalid("body.stop",
                       fmt::format("body.stop may hold at most {} strings", kMaxStopStrings));
      }
      stop.emplace_back(*entry);
    }
  }
  for (const std::string& entry : stop) {
    if (entry.empty() || entry.size() > kMaxStopStringBytes) {
      return Invalid("body.stop",
                     fmt::format("a stop string must have 1 to {} bytes", kMaxStopStringBytes));
    }
  }
  return std::nullopt;
}

Problem ReadTopK(dom::element value, std::uint32_t& top_k) {
  const auto number = AsInteger(value);
  if (!number || *number < 0 || *number > INT32_MAX)
    return Invalid("body.top_k", "body.top_k must be an integer of at least 0 (0 is off)");
  top_k = static_cast<std::uint32_t>(*number);
  return std::nullopt;
}

// --- Fields that do not change the answer, and those that would -------------------------------

constexpr std::array kIgnored = {"user",
                                 "metadata",
                                 "store",
                                 "service_tier",
                                 "safety_identifier",
                                 "prompt_cache_key",
                                 "prompt_cache_retention",
                                 "parallel_tool_calls"};

bool IsIgnored(std::string_view key) {
  for (const std::string_view ignored : kIgnored)
    if (key == ignored) return true;
  return false;
}

// Fields that may be sent with the value that changes nothing.
bool IsNeutral(std::string_view key, dom::element value) {
  if (value.is_null()) return true;
  if (key == "n") return AsNumber(value) == 1.0;
  if (key == "stream" || key == "logprobs") {
    bool flag = true;
    return !value.get(flag) && !flag;
  }
  if (key == "presence_penalty" || key == "frequency_penalty" || key == "top_logprobs")
    return AsNumber(value) == 0.0;
  if (key == "tool_choice" || key == "function_call")
    return AsString(value) == "none" || AsString(value) == "auto";
  if (key == "logit_bias") {
    dom::object object;
    return !value.get(object) && object.size() == 0;
  }
  if (key == "tools" || key == "functions") {
    dom::array array;
    return !value.get(array) && array.size() == 0;
  }
  if (key == "modalities") {
    dom::array array;
    return !value.get(array) && array.size() == 1 && AsString(array.at(0)) == "text";
  }
  if (key == "response_format") {
    dom::object object;
    dom::element type;
    return !value.get(object) && object.size() == 1 && !object["type"].get(type) &&
           AsString(type) == "text";
  }
  return false;
}

Problem ReadBodyField(std::string_view key, dom::element value, BatchLine& line) {
  const std::string param = "body." + std::string(key.substr(0, 64));
  InferenceRequest& request = line.request;
  if (key == "messages") return ReadMessages(value, request.messages);
  if (key == "model") {
    const auto model = AsString(value);
    if (!model || model->empty()) return Invalid(param, "body.model must be a non-empty string");
    if (model->size() > kMaxModelIdBytes)
      return Invalid(param, fmt::format("body.model is longer than {} bytes", kMaxModelIdBytes));
    line.model = ModelId(std::string(*model));
    return std::nullopt;
  }
  if (value.is_null() || IsIgnored(key)) return std::nullopt;
  if (key == "max_tokens" || key == "max_completion_tokens")
    return ReadTokenLimit(param, value, request.max_tokens);
  if (key == "temperature") return ReadReal(param, value, 0, 2, true, request.sampling.temperature);
  if (key == "top_p") return ReadReal(param, value, 0, 1, false, request.sampling.top_p);
  if (key == "top_k") return ReadTopK(value, request.sampling.top_k);
  if (key == "stop") return ReadStop(value, request.stop);
  if (key == "seed") {
    const auto seed = AsInteger(value);
    if (!seed) return Invalid(param, "body.seed must be an integer of at most 64 bits");
    request.sampling.seed = static_cast<std::uint64_t>(*seed);
    line.has_seed = true;
    return std::nullopt;
  }
  if (IsNeutral(key, value)) return std::nullopt;
  if (key == "stream") return Unsupported(param, "a batch does not stream");
  if (key == "n") return Unsupported(param, "each line gets one answer");
  return Unsupported(param, "it would change the answer");
}

Problem ReadBody(dom::element value, BatchLine& line) {
  dom::object body;
  if (value.get(body)) return Invalid("body", "body must be an object");
  bool has_messages = false;
  std::vector<std::string_view> seen;
  for (const auto& [key, field] : body) {
    for (const std::string_view other : seen) {
      if (other == key) return Invalid("body", fmt::format("body has {} twice", Quoted(key)));
    }
    if (seen.size() == 64) return Invalid("body", "body has more than 64 fields");
    seen.push_back(key);
    has_messages = has_messages || key == "messages";
    if (auto problem = ReadBodyField(key, field, line)) return problem;
  }
  if (line.model.empty()) return Missing("body.model");
  if (!has_messages) return Missing("body.messages");
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
  return ReadBody(*body, line);
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
