// The body of a line for /v1/chat/completions, field by field.
#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "coordinator/core/line_bodies.h"
#include "coordinator/core/line_checks.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

namespace dom = simdjson::dom;

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

}  // namespace

Problem ReadChatField(std::string_view key, dom::element value, BatchLine& line) {
  const std::string param = "body." + std::string(key.substr(0, 64));
  InferenceRequest& request = line.request;
  if (key == "messages") return ReadMessages(value, request.messages);
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

}  // namespace fallow
